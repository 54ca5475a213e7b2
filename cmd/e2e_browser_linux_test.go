// This file is a real browser for tests: Debian's Chromium without a window, and tabs that write down whatever a browser
// complains of. `make e2e` installs it and names it in AFTERCHAT_CHROMIUM.

package cmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// chromium returns the browser's program.
func chromium(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("AFTERCHAT_CHROMIUM"); path != "" {
		return path
	}
	if path, err := exec.LookPath("chromium"); err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("Chromium is not installed; make e2e does that on Debian as root")
	}
	t.Skip("Chromium is not installed; make e2e does that on Debian as root")
	return ""
}

// browser is a running browser.
type browser struct{ ctx context.Context }

// newBrowser starts a browser with an empty profile. It ends with the test.
func newBrowser(t testing.TB) *browser {
	t.Helper()
	program := chromium(t)
	profile, err := os.MkdirTemp("", "afterchat-browser-") //nolint:usetesting // it is removed when the browser is gone, which may take some tries
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.UserDataDir(profile), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WSURLReadTimeout(time.Minute),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1440, 900),
	)
	allocated, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, closed := chromedp.NewContext(allocated)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // in an orderly way, and it waits
		closed()
		stop()
		chromedp.FromContext(ctx).Allocator.Wait()
		_ = os.RemoveAll(profile)
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting the browser: %v", err)
	}
	return &browser{ctx}
}

// tab is one tab, on the console of one gateway.
type tab struct {
	t     testing.TB
	ctx   context.Context
	admin string

	mu         sync.Mutex
	complaints []string // console messages, exceptions, violations of the policy
	statuses   map[int64]int
}

// watch makes every violation of the policy an error on the console, beside what Chromium itself logs of it.
const watch = `document.addEventListener('securitypolicyviolation', e =>
	console.error('violation of the policy: ' + e.violatedDirective + ' ' + e.blockedURI + ' ' + e.sourceFile + ':' + e.lineNumber));`

// tab opens an empty tab; its complaints fail the test at its end.
func (b *browser) tab(t testing.TB, admin string) *tab {
	t.Helper()
	ctx, closed := chromedp.NewContext(b.ctx)
	p := &tab{t: t, ctx: ctx, admin: admin, statuses: map[int64]int{}}
	if err := chromedp.Listen(ctx, p.listen); err != nil {
		t.Fatal(err)
	}
	p.do(sent(cdplog.Enable, cdp.Empty{}), sent(network.Enable, network.EnableParams{}),
		sent(page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watch}))
	t.Cleanup(func() {
		for _, c := range p.taken() {
			t.Errorf("the browser complains: %s", c)
		}
		closed()
	})
	return p
}

func (p *tab) listen(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		var said []string
		for _, a := range e.Args {
			said = append(said, string(a.Value)+a.Description)
		}
		p.complaints = append(p.complaints, fmt.Sprintf("console.%s: %s", e.Type, strings.Join(said, " ")))
	case *runtime.EventExceptionThrown:
		said := "exception: " + e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			said += " " + e.ExceptionDetails.Exception.Description
		}
		p.complaints = append(p.complaints, said)
	case *cdplog.EventEntryAdded:
		p.complaints = append(p.complaints, fmt.Sprintf("%s, %s: %s %s", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL))
	case *network.EventResponseReceived:
		p.statuses[e.Response.Status]++
	case *page.EventJavascriptDialogOpening:
		p.complaints = append(p.complaints, "dialog: "+e.Message)
	}
}

// taken returns the complaints so far and forgets them.
func (p *tab) taken() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.complaints
	p.complaints = nil
	return out
}

// answered tells how many answers had a status.
func (p *tab) answered(status int64) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.statuses[status]
}

// sent is a command of the browser's protocol.
func sent[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// do performs actions, in half a minute at most.
func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.t.Fatalf("%v\nat %s", err, p.where())
	}
}

func (p *tab) where() string {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("location.href + '\\n' + (document.querySelector('main')?.innerText.slice(0, 1500) ?? '')"))
	if err != nil {
		return err.Error()
	}
	return text
}

// open goes to a page and waits until it is there.
func (p *tab) open(path string) {
	p.t.Helper()
	p.do(chromedp.Navigate("http://"+p.admin+path), chromedp.WaitReady(chromedp.CSS("main")))
}

// ask evaluates an expression in the page.
func ask[T any](p *tab, expression string) (out T) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 30*time.Second)
	defer cancel()
	out, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("%v\nat %s", err, p.where())
	}
	return out
}

// run runs statements in the page.
func (p *tab) run(statements string) {
	p.t.Helper()
	ask[bool](p, "{"+statements+"}; true")
}

// until waits until an expression holds.
func (p *tab) until(expression string) {
	p.t.Helper()
	eventually(p.t, time.Minute, func() error {
		ctx, cancel := context.WithTimeout(p.ctx, 10*time.Second)
		defer cancel()
		// While a page gives way to the next there is nothing that could answer.
		held, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		if err != nil {
			return fmt.Errorf("%s: %w", expression, err)
		}
		if !held {
			return fmt.Errorf("%s does not hold at %s", expression, p.where())
		}
		return nil
	})
}

// click follows a link or presses a button, by selector, and waits for the page after.
func (p *tab) click(selector string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 30*time.Second)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector)), chromedp.WaitReady(chromedp.CSS("main"))); err != nil {
		p.t.Fatalf("clicking %s: %v\nat %s", selector, err, p.where())
	}
}

// press presses keys one after the other, as a keyboard does: a key that the page takes for itself writes nothing.
func (p *tab) press(keys string) {
	p.t.Helper()
	for _, r := range keys {
		key, known := kb.Keys[r]
		if !known {
			p.t.Fatalf("there is no key for %q", r)
		}
		down := input.DispatchKeyEventParams{
			Type: input.DispatchKeyEventTypeKeyDown, Key: key.Key, Code: key.Code, Text: key.Text, UnmodifiedText: key.Unmodified,
			WindowsVirtualKeyCode: key.Windows, NativeVirtualKeyCode: key.Native,
		}
		up := down
		up.Type, up.Text, up.UnmodifiedText = input.DispatchKeyEventTypeKeyUp, "", ""
		p.do(sent(input.DispatchKeyEvent, down), sent(input.DispatchKeyEvent, up))
	}
}

// see fails unless the page shows a text.
func (p *tab) see(texts ...string) {
	p.t.Helper()
	shown := ask[string](p, `document.body.innerText`)
	for _, text := range texts {
		if !strings.Contains(shown, text) {
			p.t.Errorf("%q is not on the page\nat %s", text, p.where())
		}
	}
}

// scheme chooses light or dark.
func (p *tab) scheme(name string) {
	p.t.Helper()
	p.do(sent(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}}))
}

// scripts switches JavaScript on or off.
func (p *tab) scripts(on bool) {
	p.t.Helper()
	p.do(sent(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on}))
}

// narrow makes the window as wide as that of a telephone, or as it was.
func (p *tab) narrow(on bool) {
	p.t.Helper()
	if on {
		p.do(chromedp.EmulateViewport(390, 800))
	} else {
		p.do(chromedp.EmulateViewport(1440, 900))
	}
}

// screenshot keeps what the tab shows as build/screenshots/NAME.png, the whole page up to a height.
func (p *tab) screenshot(name string, width, height int64) {
	p.t.Helper()
	p.do(chromedp.EmulateViewport(width, height))
	ctx, cancel := context.WithTimeout(p.ctx, 30*time.Second)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	p.narrow(false)
	if strings.HasPrefix(name, "readme-") {
		picture = paletted(p.t, picture)
	}
	folder := filepath.Join("..", "build", "screenshots")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// quote writes a text as an expression of JavaScript.
func quote(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string can always be written
	}
	return string(b)
}

// paletted makes a picture small: with its 256 most frequent colors, each pixel has the nearest of them.
func paletted(t testing.TB, picture []byte) []byte {
	t.Helper()
	from, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	bounds, count := from.Bounds(), map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(from.At(x, y)).(color.RGBA) }
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	colors := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int { return count[b] - count[a] })
	var palette color.Palette
	for _, c := range colors[:min(256, len(colors))] {
		palette = append(palette, c)
	}
	to, nearest := image.NewPaletted(bounds, palette), map[color.RGBA]uint8{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := at(x, y)
			index, known := nearest[c]
			if !known {
				index = uint8(palette.Index(c)) //nolint:gosec // below 256
				nearest[c] = index
			}
			to.SetColorIndex(x, y, index)
		}
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, to); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
