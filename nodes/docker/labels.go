package docker

// Labels of what a run makes on the engine.
const (
	labelRun     = "faultline.run"     // Spec.Run
	labelCluster = "faultline.cluster" // one Start; unlike a run's name it never comes again
	labelOwner   = "faultline.owner"   // the process that answers for it
	labelStarted = "faultline.started" // when it was made, Unix time in seconds
	labelPart    = "faultline.part"    // of a container: holder or node
	labelNode    = "faultline.node"    // of a container or a volume: whose it is

	labelImage = "faultline" // of an image: "image"
	imageValue = "image"
)
