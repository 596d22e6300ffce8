package agent

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// hclogFor makes the logger that hashicorp's libraries want, which writes to log.
func hclogFor(log *slog.Logger, name string) hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: name, Level: hclog.Off})
	l.RegisterSink(sink{log})
	return l
}

type sink struct{ log *slog.Logger }

var hclogLevels = map[hclog.Level]slog.Level{
	hclog.Trace: slog.LevelDebug - 4,
	hclog.Debug: slog.LevelDebug,
	hclog.Info:  slog.LevelInfo,
	hclog.Warn:  slog.LevelWarn,
	hclog.Error: slog.LevelError,
}

// Accept is for hclog.
func (s sink) Accept(name string, level hclog.Level, text string, args ...any) {
	ctx := context.Background()
	to := hclogLevels[level]
	if !s.log.Enabled(ctx, to) {
		return
	}
	for i := range args {
		if f, ok := args[i].(hclog.Format); ok {
			args[i] = fmt.Sprintf(fmt.Sprint(f[0]), f[1:]...)
		}
	}
	s.log.Log(ctx, to, name+": "+text, args...)
}
