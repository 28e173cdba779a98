package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

// terminal is a program in a pseudo-terminal, with an emulator that shows what a person would see on the screen.
type terminal struct {
	t    *testing.T
	cmd  *exec.Cmd
	file *os.File

	mu     sync.Mutex
	screen *vt.Emulator
	raw    bytes.Buffer
	ended  chan struct{}
}

func openTerminal(t *testing.T, width, height int, env []string, path string, args ...string) *terminal {
	t.Helper()
	x := &terminal{t: t, cmd: exec.Command(path, args...), screen: vt.NewEmulator(width, height), ended: make(chan struct{})}
	x.cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "NO_COLOR=") || strings.HasPrefix(v, "TERM=") || strings.HasPrefix(v, "COLORTERM=")
	}), append([]string{"TERM=xterm-256color"}, env...)...)
	var err error
	if x.file, err = pty.StartWithSize(x.cmd, &pty.Winsize{Rows: uint16(height), Cols: uint16(width)}); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(x.file, x.screen) }() // what the terminal answers when it is asked
	go func() {
		defer close(x.ended)
		b := make([]byte, 32<<10)
		for {
			n, err := x.file.Read(b)
			x.mu.Lock()
			_, _ = x.raw.Write(b[:n])
			_, _ = x.screen.Write(b[:n])
			x.mu.Unlock()
			if err != nil { // EIO: the other side is closed
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = x.cmd.Process.Kill()
		_ = x.cmd.Wait()
		<-x.ended
		_ = x.screen.Close()
		_ = x.file.Close()
		if t.Failed() {
			t.Logf("the screen of %v\n%s", args, x.text())
		}
	})
	return x
}

func (x *terminal) text() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.screen.String()
}

// shows waits until the screen has all of these, wherever lines are broken.
func (x *terminal) shows(parts ...string) {
	x.t.Helper()
	eventually(x.t, 10*time.Second, "the screen", func() error {
		text := strings.Join(strings.Fields(x.text()), " ")
		for _, part := range parts {
			if !strings.Contains(text, part) {
				return fmt.Errorf("no %q in\n%s", part, text)
			}
		}
		return nil
	})
}

func (x *terminal) resize(width, height int) {
	x.t.Helper()
	x.mu.Lock()
	x.screen.Resize(width, height)
	x.mu.Unlock()
	if err := pty.Setsize(x.file, &pty.Winsize{Rows: uint16(height), Cols: uint16(width)}); err != nil {
		x.t.Fatal(err)
	}
}

func (x *terminal) press(keys string) {
	x.t.Helper()
	if _, err := io.WriteString(x.file, keys); err != nil {
		x.t.Fatal(err)
	}
}

// exits waits for the end, and expects an exit code and a terminal that is restored.
func (x *terminal) exits(code int) {
	x.t.Helper()
	done := make(chan error, 1)
	go func() { done <- x.cmd.Wait() }()
	select {
	case err := <-done:
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			x.t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		x.t.Fatal("it doesn't end")
	}
	<-x.ended
	if got := x.cmd.ProcessState.ExitCode(); got != code {
		x.t.Errorf("exit code %d, want %d", got, code)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.screen.IsAltScreen() {
		x.t.Error("the other screen was left on")
	}
	if x.screen.CursorHidden() {
		x.t.Error("the cursor was left hidden")
	}
}

// plainly runs a program without a terminal.
func plainly(t *testing.T, env []string, path string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = endsWithUs()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	defer limit.Stop()
	_ = cmd.Wait()
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}
