// This file measures other places for the ledger: a disk that takes 2 ms for each sync, and a PostgreSQL database.

package cmd_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/afterchat/afterchat/internal/ledger/postgrestest"
)

// at has the gateway keep its ledger at url.
func (m *measured) at(s *bench, url string) *measured {
	replaceIn(s, m.configuration, "sqlite:data/afterchat.db", url)
	return m
}

// slowNode is a file or folder that takes a while for each sync, and nothing more than the disk below for what else is
// done with it: reads and writes do not even come here where the kernel can pass them through (Linux 6.9).
type slowNode struct {
	*fs.LoopbackNode
	delay time.Duration
}

// WrapChild implements fs.NodeWrapChilder.
func (n *slowNode) WrapChild(_ context.Context, child fs.InodeEmbedder) fs.InodeEmbedder {
	return &slowNode{child.(*fs.LoopbackNode), n.delay}
}

// Fsync implements fs.NodeFsyncer.
func (n *slowNode) Fsync(ctx context.Context, f fs.FileHandle, flags uint32) syscall.Errno {
	<-time.After(n.delay)
	if file, ok := f.(fs.FileFsyncer); ok {
		return file.Fsync(ctx, flags)
	}
	return 0
}

// slowSyncs is a program of its own: a disk takes no processor from the load that is measured, and does not keep it waiting.
// It mounts its first argument, a folder, over the second, with the delay of the third, prints what fails or an empty line,
// and unmounts when its input ends.
func slowSyncs() {
	folder, data := os.Args[1], &fs.LoopbackRoot{Path: os.Args[2]}
	delay, err := time.ParseDuration(os.Args[3])
	if err != nil {
		panic(err)
	}
	root := &slowNode{&fs.LoopbackNode{RootData: data}, delay}
	data.RootNode = root
	server, err := fs.Mount(folder, root, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "afterchat-bench", DisableXAttrs: true},
	})
	if err != nil {
		_, _ = fmt.Fprintln(os.Stdout, err)
		return
	}
	_, _ = fmt.Fprintln(os.Stdout)
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := server.Unmount(); err != nil {
		panic(err)
	}
}

// mountSlow returns a folder whose syncs take longer, until the benchmark ends.
func mountSlow(s *bench, delay time.Duration) (folder string, err error) {
	folder = s.TempDir()
	command, in, failed := startProgram(s, "slow-syncs", folder, s.TempDir(), delay.String())
	s.Cleanup(func() {
		_ = in.Close()
		if err := command.Wait(); err != nil {
			s.Errorf("unmount %s: %v", folder, err)
		}
	})
	if failed != "" {
		return "", errors.New(failed)
	}
	return folder, nil
}

// slowDisk measures acknowledgements on a disk whose syncs take 2 ms more, which is as long as a network disk takes.
func (s *bench) slowDisk() {
	const injected, rate = 2 * time.Millisecond, 200
	name := fmt.Sprintf("%d/s, %s injected per sync: ", rate, injected)
	folder, err := mountSlow(s, injected)
	if err != nil {
		s.table.add(name+"acknowledged", "skipped: no file system of our own can be mounted: "+err.Error(), "", "", true)
		return
	}
	sync := syncTimes(s, folder, s.pace.window/2)
	m := newMeasured(s, benchTarget(s.target.address)).at(s, "sqlite:"+filepath.Join(folder, "afterchat.db")).run(s)
	defer m.stop()
	m.take(s, newHooks(4000), &s.next)
	floor, acks, ends := s.latencies(m, rate)
	s.table.add(name+"fdatasync", fmt.Sprintf("p50 %s, p99 %s", ms(sync.at(.5)), ms(sync.at(.99))), "", "", true)
	s.acked(name+"acknowledged", floor, acks, sync)
	s.table.add(name+"delivered", ends.text(), "", "", true)
}

// postgres measures the PostgreSQL engine, the server on the same processors.
func (s *bench) postgres() {
	const name = "PostgreSQL ledger, synchronous_commit=on, 64 connections: "
	if os.Getenv(postgrestest.Variable) == "" {
		s.table.add(name+"durable acknowledgements", "skipped: no programs of PostgreSQL; `apt-get install postgresql`, or name their folder in "+postgrestest.Variable, "", "", true)
		return
	}
	c, err := postgrestest.Start(s.Context(), "synchronous_commit = on")
	if err != nil {
		s.Errorf("PostgreSQL: %v", err)
		return
	}
	defer c.Remove()
	on := newMeasured(s, benchTargetOf(s.target.address, keepingUp)).at(s, c.URL("search_path=public")).run(s)
	defer on.stop()
	h := newHooks(4000)
	s.closedLoop(on.served(), h, 64, s.pace.window) // connections and plans are made
	on.drained(s, time.Minute)
	var rates, shares, kept values
	var busy work
	var use usage
	var count int64
	for range s.pace.windows {
		rested(s, on)
		s.target.forget()
		ceiling := s.closedLoop(s.ceiling, h, 64, s.pace.window)
		before := on.use(s)
		one := s.closedLoop(on.served(), h, 64, s.pace.window)
		on.drained(s, 2*time.Minute)
		use.add(before, on.use(s))
		busy.add(one)
		count += one.all
		rates, shares, kept = append(rates, one.rate), append(shares, one.rate/ceiling.rate), append(kept, one.kept)
	}
	use.per(count)
	s.table.add(name+"durable acknowledgements, delivering", fmt.Sprintf("%s, %.0f %% delivered meanwhile", rates.text("/s"), 100*kept.middle()),
		shares.percent(), "≥ 12 %", shares.middle() >= .12)
	s.table.add("PostgreSQL ledger: of the processors, delivering", busy.text()+" with PostgreSQL", "", "", true)
	s.table.add("PostgreSQL ledger: the gateway's processor for 10,000 conversations, delivered", fmt.Sprintf("%.2f s", use.processor), "", "", true)
}
