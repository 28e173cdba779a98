package cli

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/term"
)

// live runs the view until everything has ended or the user ends it. It restores the terminal.
func (w *Watch) live(ctx context.Context, cancel context.CancelFunc, s *scene) error {
	options := []tea.ProgramOption{tea.WithContext(ctx), tea.WithoutSignalHandler()}
	if !term.IsTerminal(os.Stdin.Fd()) {
		options = append(options, tea.WithInput(nil)) // no keys; Ctrl-C is a signal then
	}
	view := &liveView{scene: s}
	program := tea.NewProgram(view, options...)
	feeding, stop := context.WithCancel(ctx)
	defer stop()
	go w.feed(feeding, func(u update) { program.Send(u) })
	_, err := program.Run()
	if view.interrupted {
		cancel()
	}
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		return nil // a signal; verdict tells
	}
	return err
}

// liveView is the model of the terminal program.
type liveView struct {
	scene         *scene
	interrupted   bool
	width, height int
	offset        int // first line shown
}

type tick time.Time

// everySecond makes the view redraw its clocks.
func everySecond() tea.Cmd {
	return tea.Tick(time.Second, func(t time.Time) tea.Msg { return tick(t) })
}

func (v *liveView) Init() tea.Cmd { return everySecond() }

func (v *liveView) Update(m tea.Msg) (tea.Model, tea.Cmd) {
	switch m := m.(type) {
	case update:
		v.scene.apply(m, time.Now())
		if v.scene.done() {
			return v, tea.Quit
		}
	case tick:
		return v, everySecond()
	case tea.WindowSizeMsg:
		v.width, v.height = m.Width, m.Height
	case tea.KeyPressMsg:
		return v.key(m.String())
	}
	return v, nil
}

func (v *liveView) key(name string) (tea.Model, tea.Cmd) {
	switch name {
	case "ctrl+c", "q", "esc":
		v.interrupted = true
		return v, tea.Quit
	case "down", "j":
		v.offset++
	case "up", "k":
		v.offset--
	case "pgdown", "space":
		v.offset += v.height - 1
	case "pgup":
		v.offset -= v.height - 1
	case "home", "g":
		v.offset = 0
	case "end", "G":
		v.offset = 1 << 30
	}
	return v, nil // View bounds the offset
}

func (v *liveView) View() tea.View {
	if v.width == 0 {
		return tea.View{AltScreen: true} // the size comes first
	}
	lines := v.scene.lay(v.width, time.Now())
	v.offset = max(0, min(v.offset, len(lines)-v.height))
	lines = lines[v.offset:]
	if len(lines) > v.height {
		lines = append(lines[:v.height-1:v.height-1], faint.Styled("↓ more"))
	}
	out := tea.NewView(strings.Join(lines, "\n"))
	out.AltScreen = true
	return out
}

// lay renders the whole view as lines.
func (s *scene) lay(width int, now time.Time) []string {
	p := &page{width: max(width, minWidth), now: now}
	if s.list != nil {
		p.table(s)
		return p.lines
	}
	for i, b := range s.batches {
		if i > 0 {
			p.line("")
		}
		p.batch(b, s.namespace)
	}
	return p.lines
}
