package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/headwayhq/headway/services/headway/app"
	"github.com/headwayhq/headway/services/headway/doctor"
)

// Doctor is headway doctor.
type Doctor struct {
	shared
	RedisURL string        `name:"redis-url" group:"Where" help:"Redis server (default: that of the headway run with this data directory, else redis://127.0.0.1:6379/0)." placeholder:"URL" env:"HEADWAY_REDIS_URL"`
	DataDir  string        `group:"Where" help:"Where a headway run keeps its data (default ${data_dir})." placeholder:"DIR" env:"HEADWAY_DATA_DIR"`
	Timeout  time.Duration `help:"How long each server may take to answer." default:"5s"`
}

// Run looks at everything and says what to do. Exit code 1: something is wrong.
func (d *Doctor) Run(ctx context.Context) error {
	if _, err := d.reader(nil); err != nil {
		return err
	}
	o := doctor.Options{
		URL: d.URL, NATSURL: d.NATSURL, RedisURL: d.redis(), Namespace: d.Namespace, Token: d.Token, Timeout: d.Timeout,
		BareURL: bare(d.URL), BareNATSURL: bare(d.NATSURL), BareRedisURL: bare(d.redis()),
	}
	wrong := 0
	var failed error
	doctor.Examine(ctx, o, func(f doctor.Finding) {
		if f.State == doctor.Wrong {
			wrong++
		}
		failed = errors.Join(failed, d.print(f))
	})
	switch {
	case failed != nil:
		return failed
	case ctx.Err() != nil:
		return ExitError{Code: exitUnknown, Err: errors.New("interrupted")}
	case wrong > 0:
		return ExitError{Code: exitNo}
	}
	return nil
}

// redis is the address given, else that of a headway run on this machine.
func (d *Doctor) redis() string {
	if d.RedisURL != "" {
		return d.RedisURL
	}
	dir := d.DataDir
	if dir == "" {
		dir = app.DefaultDataDir()
	}
	if r, err := app.ReadRunning(dir); err == nil && r.Redis != "" {
		return r.Redis
	}
	return "redis://127.0.0.1:6379/0"
}

func (d *Doctor) print(f doctor.Finding) error {
	if d.JSON {
		return json.NewEncoder(os.Stdout).Encode(f)
	}
	sign := map[doctor.State]string{doctor.OK: "✓", doctor.Note: "!", doctor.Wrong: "✗", doctor.Unknown: "?"}[f.State]
	_, err := fmt.Fprintf(os.Stdout, "%s %-21s %s\n", sign, f.Check, plain(f.Says))
	if err == nil && f.Do != "" {
		_, err = fmt.Fprintf(os.Stdout, "  %-21s → %s\n", "", plain(f.Do))
	}
	return err
}
