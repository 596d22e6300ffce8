package checker
import ("testing";"context";"os";"faultline/workloads/history")
func TestZZ(t *testing.T){
 run:=registerRun("default", simulated(2,150,5,5,true))
 run.Faults=[]history.Fault{{Step:1,Name:"partition",Start:20e6,Heal:60e6,Healed:61e6,Targets:[]string{"dc1-s1"},Asked:"4 links dropped"}}
 r:=checkLinearizable(context.Background(), run)
 os.WriteFile("/tmp/pic.html", r.Counterexamples[0].Picture, 0o644)
 t.Log(len(r.Counterexamples[0].Picture), r.Summary)
}
