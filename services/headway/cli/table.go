package cli

import (
	"cmp"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/term"
)

// paper is where a verb writes text for people: how wide it is, and whether it shows colours. Colours only repeat what a word says.
type paper struct {
	width   int // 0: as wide as it takes
	colours bool
}

// onPaper is standard output. A pipe or a file gets whole lines without colours.
func onPaper() paper {
	if !term.IsTerminal(os.Stdout.Fd()) {
		return paper{}
	}
	width, _, err := term.GetSize(os.Stdout.Fd())
	if err != nil {
		width = 0
	}
	kind := os.Getenv("TERM")
	return paper{width: width, colours: os.Getenv("NO_COLOR") == "" && kind != "" && kind != "dumb"}
}

func (p paper) styled(style ansi.Style, text string) string {
	if !p.colours {
		return text
	}
	return style.Styled(text)
}

// wrapped is text in lines of what is left beside an indent.
func (p paper) wrapped(text string, indent int) []string {
	if p.width == 0 {
		return []string{text}
	}
	return strings.Split(ansi.Wrap(text, max(20, p.width-indent), ""), "\n")
}

// column is one of a table.
type column struct {
	name string
	// drop is when it is left out so that the others have room: the highest first; 0: never.
	drop int
	// cut is true of text that may be cut where there is no room.
	cut bool
	// instead names the column whose cell stands in an empty one if that column is left out.
	instead string
}

// minCut is the least that is shown of text that is cut.
const minCut = 24

// table writes rows of cells, which are fit for a terminal already, below the names of the columns.
func (p paper) table(out io.Writer, columns []column, rows [][]string) error {
	shown := make([]int, len(columns)) // indices
	widths := make([]int, len(columns))
	for i, c := range columns {
		shown[i], widths[i] = i, ansi.StringWidth(c.name)
		for _, row := range rows {
			widths[i] = max(widths[i], ansi.StringWidth(row[i]))
		}
	}
	total := func(least bool) (n int) {
		for _, i := range shown {
			w := widths[i]
			if least && columns[i].cut {
				w = min(w, minCut)
			}
			n += w + 2
		}
		return n - 2
	}
	for p.width > 0 && total(true) > p.width {
		at := -1
		for k, i := range shown {
			if columns[i].drop > 0 && (at < 0 || columns[i].drop > columns[shown[at]].drop) {
				at = k
			}
		}
		if at < 0 {
			break
		}
		shown = append(shown[:at:at], shown[at+1:]...)
	}
	for k := len(shown) - 1; k >= 0 && p.width > 0; k-- { // what is over is taken from the last that may be cut
		if over, i := total(false)-p.width, shown[k]; over > 0 && columns[i].cut {
			widths[i] = max(min(widths[i], minCut), widths[i]-over)
		}
	}
	stands := func(row []string, i int) string {
		other := slices.IndexFunc(columns, func(c column) bool { return c.name == columns[i].instead })
		if row[i] == "" && other >= 0 && !slices.Contains(shown, other) {
			return cmp.Or(row[other], "–")
		}
		return cmp.Or(row[i], "–")
	}
	line := func(cell func(int) string) string {
		var b strings.Builder
		for k, i := range shown {
			text := ansi.Truncate(cell(i), widths[i], "…")
			b.WriteString(text)
			if k < len(shown)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-ansi.StringWidth(text)+2))
			}
		}
		return b.String() + "\n"
	}
	var b strings.Builder
	b.WriteString(p.styled(faint, strings.TrimSuffix(line(func(i int) string { return columns[i].name }), "\n")) + "\n")
	for _, row := range rows {
		b.WriteString(line(func(i int) string { return stands(row, i) }))
	}
	_, err := io.WriteString(out, b.String())
	return err
}
