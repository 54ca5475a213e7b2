// This file lets the clocks of running processes jump. The kernel gives each process a piece of code that reads the
// clock (the vDSO). In the processes under test it is replaced by one that asks the kernel and adds what the test wants.
// The programs are the ones that are built, and nobody else's clock changes.

package cmd_test

import (
	"bytes"
	"context"
	"debug/elf"
	bits "encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// numberAt is where the codes below have the seconds that they add.
const numberAt = 24

// clockCode is the replacement of each function of the vDSO that tells the wall clock.
var clockCode = map[string][]byte{
	// clock_gettime(clock in edi, *timespec in rsi).
	"__vdso_clock_gettime": {
		0xb8, 0xe4, 0, 0, 0, // mov eax, 228
		0x0f, 0x05, // syscall
		0x85, 0xff, // test edi, edi; the wall clock is 0
		0x75, 0x0a, // jne to the end
		0x48, 0x8b, 0x0d, 6, 0, 0, 0, // mov rcx, [rip+6]
		0x48, 0x01, 0x0e, // add [rsi], rcx
		0xc3,       // ret
		0x90, 0x90, // up to the number
		0, 0, 0, 0, 0, 0, 0, 0,
	},
	// gettimeofday(*timeval in rdi, *timezone in rsi).
	"__vdso_gettimeofday": {
		0xb8, 0x60, 0, 0, 0, // mov eax, 96
		0x0f, 0x05, // syscall
		0x90, 0x90, 0x90, 0x90,
		0x48, 0x8b, 0x0d, 6, 0, 0, 0, // mov rcx, [rip+6]
		0x48, 0x01, 0x0f, // add [rdi], rcx
		0xc3,       // ret
		0x90, 0x90, // up to the number
		0, 0, 0, 0, 0, 0, 0, 0,
	},
	// time(*time_t in rdi), which PostgreSQL calls without a pointer.
	"__vdso_time": {
		0xb8, 0xc9, 0, 0, 0, // mov eax, 201
		0x0f, 0x05, // syscall
		0x90, 0x90, 0x90, 0x90,
		0x48, 0x8b, 0x0d, 6, 0, 0, 0, // mov rcx, [rip+6]
		0x48, 0x01, 0xc8, // add rax, rcx
		0xc3,       // ret
		0x90, 0x90, // up to the number
		0, 0, 0, 0, 0, 0, 0, 0,
	},
}

// wrongClock is the clock of a process and of its children.
type wrongClock struct {
	pid     int
	numbers map[int][]int64 // process to the addresses of its numbers
}

// newWrongClock takes over the clock of a running process, which stays right until jump.
func newWrongClock(t *testing.T, pid int) *wrongClock {
	t.Helper()
	c := &wrongClock{pid: pid, numbers: map[int][]int64{}}
	for _, p := range c.processes() {
		c.take(t, p)
	}
	return c
}

// processes are the first one and its children, which inherit its clock when they begin.
func (c *wrongClock) processes() []int {
	all := []int{c.pid}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", c.pid, c.pid))
	for text := range strings.FieldsSeq(string(children)) {
		if child, err := strconv.Atoi(text); err == nil {
			all = append(all, child)
		}
	}
	return all
}

// jump sets the clocks so far off, ahead if it is positive. Those of children that end meanwhile do not matter.
func (c *wrongClock) jump(t *testing.T, off time.Duration) {
	t.Helper()
	number := bits.LittleEndian.AppendUint64(nil, uint64(int64(off/time.Second)))
	for _, p := range c.processes() {
		addresses := c.numbers[p]
		if addresses == nil {
			addresses = c.numbers[c.pid] // the child has begun since, with a copy of the first one's memory
		}
		for _, at := range addresses {
			if err := poke(p, at, number); err != nil && (p == c.pid || len(c.numbers[p]) > 0 && alive(p)) {
				t.Fatal(err)
			}
		}
	}
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// poke writes into the memory of a process.
func poke(pid int, at int64, data []byte) error {
	memory, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = memory.Close() }()
	_, err = memory.WriteAt(data, at)
	return err
}

// take replaces the code of one process while none of its threads is in it.
func (c *wrongClock) take(t *testing.T, pid int) {
	t.Helper()
	from, to, functions, err := vdso(pid)
	if err != nil {
		t.Skipf("the clock of a process cannot be taken over here, so jumps of clocks are not tested: %v", err)
	}
	eventually(t, time.Minute, func() error {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			return err
		}
		defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
		if err := outside(pid, from, to); err != nil {
			return err
		}
		c.numbers[pid] = nil
		for name, code := range clockCode {
			at, there := functions[name]
			if !there {
				return fmt.Errorf("there is no %s", name)
			}
			if err := poke(pid, at, code); err != nil {
				t.Skipf("the clock of a process cannot be taken over here, so jumps of clocks are not tested: %v", err)
			}
			c.numbers[pid] = append(c.numbers[pid], at+numberAt)
		}
		return nil
	})
}

// outside tells whether a process has stopped and none of its threads is between two addresses.
func outside(pid int, from, to int64) error {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
	if err != nil || len(threads) == 0 {
		return fmt.Errorf("process %d has no threads: %w", pid, err)
	}
	for _, thread := range threads {
		state, err := os.ReadFile(filepath.Join(filepath.Dir(thread), "stat"))
		if err != nil {
			return err
		}
		if !bytes.Contains(state, []byte(") T ")) {
			return fmt.Errorf("a thread has not stopped: %s", state)
		}
		where, err := os.ReadFile(thread) // its last word is where it is
		if err != nil {
			return err
		}
		words := strings.Fields(string(where))
		at, err := strconv.ParseUint(words[len(words)-1], 0, 64)
		if err != nil {
			return err
		}
		if int64(at) >= from && int64(at) < to {
			return fmt.Errorf("a thread reads the clock at %#x", at)
		}
	}
	return nil
}

// vdso finds the code that reads the clocks of a process.
func vdso(pid int) (from, to int64, functions map[string]int64, err error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, 0, nil, err
	}
	for line := range strings.Lines(string(maps)) {
		if !strings.HasSuffix(line, "[vdso]\n") {
			continue
		}
		if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil {
			return 0, 0, nil, err
		}
	}
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return 0, 0, nil, err
	}
	defer func() { _ = memory.Close() }()
	image := make([]byte, to-from)
	if _, err := memory.ReadAt(image, from); err != nil {
		return 0, 0, nil, err
	}
	file, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return 0, 0, nil, err
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return 0, 0, nil, err
	}
	functions = map[string]int64{}
	for _, s := range symbols {
		functions[s.Name] = from + int64(s.Value)
	}
	return from, to, functions, nil
}

// clockOf asks a gateway what time it is.
func clockOf(t *testing.T, admin string) time.Time {
	t.Helper()
	response, err := http.Get("http://" + admin + "/healthz") //nolint:noctx // a test of the clock
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	at, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// jumps are how far off a clock is, one after the other: ahead and behind by more than leases, holds, backoffs and
// retention are long.
var jumps = []time.Duration{2 * time.Hour, -48 * time.Hour, 5 * time.Hour, 10 * 365 * 24 * time.Hour, -20 * 365 * 24 * time.Hour, 0}

// jumping lets a clock jump while hooks come in. At each moment the target has taken requests that came this way and are
// not answered yet. No hook is refused, and the gateway stays ready.
func (c *wrongClock) jumping(t *testing.T, p *process, way *counter, next *atomic.Int64, acknowledged *sync.Map, jumped func(off time.Duration)) {
	t.Helper()
	url := "http://" + p.hooks + "/in/shop/" + e2eSecret
	some := func() {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if refused := patiently(ctx, t, url, 4, next, acknowledged); refused > 0 {
			t.Errorf("%d hooks were refused", refused)
		}
	}
	for _, off := range jumps {
		before := len(way.holding())
		release := way.keep()
		some()
		eventually(t, 900*time.Millisecond, func() error { // sooner than the requests time out
			if n := len(way.holding()) - before; n == 0 {
				return errors.New("no request is under way")
			}
			return nil
		})
		c.jump(t, off)
		jumped(off)
		some()
		release()
		way.pass()
		some()
		p.waitStatus(t, http.StatusOK, 5*time.Second)
	}
}

// isOff fails if what says the time is not so far off.
func isOff(t *testing.T, who string, at time.Time, off time.Duration) {
	t.Helper()
	if wrong := at.Sub(time.Now().Add(off)).Abs(); wrong > 5*time.Second {
		t.Errorf("the clock of %s is at %s, wanted it %s off", who, at, off)
	}
}

// TestE2EClock lets the clock of a gateway jump under load, while attempts are under way and others wait for their next:
// no hook is refused. After a restart nothing waits, and all is at the target, once.
func TestE2EClock(t *testing.T) {
	binary(t)
	folder, target := t.TempDir(), newSink(t)
	target.fuzzy.Store(true)
	way, address := newCounter(t, target)
	path, hooks, admin := writeConfig(t, folder, "  desk: {type: http, url: '"+address+"', timeout: 1s, workers: 8, retry: {min: 50ms, max: 500ms}}\n")
	p := start(t, path, hooks, admin, startOptions{})
	var acknowledged sync.Map
	var next atomic.Int64
	newWrongClock(t, p.command.Process.Pid).jumping(t, p, way, &next, &acknowledged, func(off time.Duration) {
		isOff(t, "the gateway", clockOf(t, admin), off)
	})
	fenced := p.fenced()
	audited(t, path)
	if code := p.terminate(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.output())
	}
	began := time.Now()
	p = start(t, path, hooks, admin, startOptions{})
	p.waitDrained(t, 30*time.Second)
	recovered := time.Since(began)
	c := target.count(&acknowledged, 0)
	dead := gauge(t, admin, `afterchat_dead{target="desk"}`)
	p.terminate(t)
	audited(t, path)
	t.Logf("%d late settlements were refused, %s deliveries are dead", fenced, dead)
	c.tell(t, sqliteEngine, fmt.Sprintf("clock of the gateway jumps %d times, by up to 30 years, then a restart (until nothing waits)", len(jumps)), recovered)
}

// TestE2EPostgresClock lets the clock of one of two replicas jump under load: no hook is refused, no lease is taken away,
// and nothing waits.
func TestE2EPostgresClock(t *testing.T) {
	binary(t)
	server, target := cluster(t), newSink(t)
	target.fuzzy.Store(true)
	way, address := newCounter(t, target)
	settings := "  desk: {type: http, url: '%s', timeout: 1s, workers: 8, retry: {min: 50ms, max: 500ms}}\n"
	right := newReplica(t, server.URL(""), fmt.Sprintf(settings, target.address))
	odd := newReplica(t, server.URL(""), fmt.Sprintf(settings, address))
	var acknowledged sync.Map
	var next atomic.Int64
	newWrongClock(t, odd.running.command.Process.Pid).jumping(t, odd.running, way, &next, &acknowledged, func(off time.Duration) {
		isOff(t, "the replica", clockOf(t, odd.admin), off)
		isOff(t, "the other replica", clockOf(t, right.admin), 0)
	})
	began := time.Now()
	right.running.waitDrained(t, 30*time.Second)
	recovered := time.Since(began)
	c := target.count(&acknowledged, 0)
	for _, r := range []*replica{right, odd} {
		if n := r.running.fenced(); n > 0 {
			t.Errorf("%d late settlements: leases were taken away", n)
		}
		if code := r.running.terminate(t); code != 0 {
			t.Errorf("exit code %d\n%s", code, r.running.output())
		}
	}
	right.audit(t)
	c.tell(t, postgresEngine, fmt.Sprintf("clock of one of two replicas jumps %d times, by up to 30 years (until nothing waits)", len(jumps)), recovered)
}

// TestE2EPostgresServerClock lets the clock of the database jump under load.
func TestE2EPostgresServerClock(t *testing.T) {
	binary(t)
	server, target := cluster(t), newSink(t)
	target.fuzzy.Store(true)
	way, address := newCounter(t, target)
	r := newReplica(t, server.URL(""), "  desk: {type: http, url: '"+address+"', timeout: 1s, workers: 8, retry: {min: 50ms, max: 500ms}}\n")
	var acknowledged sync.Map
	var next atomic.Int64
	newWrongClock(t, server.Process()).jumping(t, r.running, way, &next, &acknowledged, func(off time.Duration) {
		at, err := server.Time(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		isOff(t, "the database", at, off)
	})
	fenced := r.running.fenced()
	r.audit(t)
	if code := r.running.terminate(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, r.running.output())
	}
	began := time.Now()
	r.launch(t)
	r.running.waitDrained(t, 60*time.Second)
	recovered := time.Since(began)
	c := target.count(&acknowledged, 0)
	dead := gauge(t, r.admin, `afterchat_dead{target="desk"}`)
	r.running.terminate(t)
	r.audit(t)
	t.Logf("%d late settlements were refused, %s deliveries are dead", fenced, dead)
	c.tell(t, postgresEngine, fmt.Sprintf("clock of the database jumps %d times, by up to 30 years, then a restart of the gateway (until nothing waits)", len(jumps)), recovered)
}
