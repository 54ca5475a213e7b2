// This file is a disk for the tests of the built binary: a file system in memory that remembers every write and every
// sync, so that a power cut can be played at any moment, and that can be slow, full, read-only or broken.

package cmd_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// sector is what a disk writes as a whole, in bytes.
const sector = 512

// diskEvent is something that happened to the disk.
type diskEvent struct {
	kind   string // write, truncate, sync of a file; create, remove, rename, and sync of the folder, file 0
	file   int
	name   string
	to     string
	offset int64
	data   []byte
}

// disk is a mounted folder without folders in it.
type disk struct {
	fs.Inode
	folder string // where it is mounted

	mu      sync.Mutex
	events  []diskEvent
	record  bool
	files   int
	used    int64
	size    int64         // bytes that fit
	failing syscall.Errno // of everything that writes; 0: none
	delay   time.Duration // of a sync
}

// newDisk mounts one, or skips the test where that is not possible.
func newDisk(t *testing.T) *disk {
	t.Helper()
	d := &disk{folder: t.TempDir(), size: 1 << 30}
	none := time.Duration(0)
	server, err := fs.Mount(d.folder, d, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "afterchat-test", MaxWrite: 1 << 17},
		AttrTimeout:  &none, EntryTimeout: &none,
	})
	if err != nil {
		t.Skipf("a file system of our own cannot be mounted here, so the disk is not tested: %v", err)
	}
	t.Cleanup(func() {
		if err := server.Unmount(); err != nil {
			t.Errorf("unmount %s: %v", d.folder, err)
		}
	})
	return d
}

// set changes how the disk behaves.
func (d *disk) set(failing syscall.Errno, delay time.Duration, size int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failing, d.delay, d.size = failing, delay, size
}

// now is a moment between two events.
func (d *disk) now() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.events)
}

// happen notes an event; the disk's mutex is held.
func (d *disk) happen(e diskEvent) {
	if d.record {
		d.events = append(d.events, e)
	}
}

// Create implements fs.NodeCreater.
func (d *disk) Create(ctx context.Context, name string, _, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failing != 0 {
		return nil, nil, 0, d.failing
	}
	d.files++
	f := &diskFile{disk: d, number: d.files, mode: mode & 0o777}
	child := d.NewPersistentInode(ctx, f, fs.StableAttr{Mode: syscall.S_IFREG, Ino: uint64(f.number) + 100})
	d.AddChild(name, child, true)
	d.happen(diskEvent{kind: "create", file: f.number, name: name})
	f.attributes(&out.Attr)
	return child, nil, 0, 0
}

// Unlink implements fs.NodeUnlinker.
func (d *disk) Unlink(_ context.Context, name string) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failing != 0 {
		return d.failing
	}
	if f, ok := d.GetChild(name).Operations().(*diskFile); ok {
		d.used -= int64(len(f.content))
	}
	d.happen(diskEvent{kind: "remove", name: name})
	return 0
}

// Rename implements fs.NodeRenamer.
func (d *disk) Rename(_ context.Context, name string, _ fs.InodeEmbedder, to string, _ uint32) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failing != 0 {
		return d.failing
	}
	d.happen(diskEvent{kind: "rename", name: name, to: to})
	return 0
}

// Fsync implements fs.NodeFsyncer for the folder.
func (d *disk) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno { return d.sync(0) }

func (d *disk) sync(file int) syscall.Errno {
	d.mu.Lock()
	delay, failing := d.delay, d.failing
	d.mu.Unlock()
	if delay > 0 {
		<-time.After(delay)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if failing == 0 {
		d.happen(diskEvent{kind: "sync", file: file})
	}
	return failing
}

// Statfs implements fs.NodeStatfser.
func (d *disk) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	out.Bsize, out.Frsize, out.NameLen = 4096, 4096, 255
	out.Blocks = uint64(d.size / 4096)
	out.Bfree = uint64(max(d.size-d.used, 0) / 4096)
	out.Bavail = out.Bfree
	return 0
}

// diskFile is a file.
type diskFile struct {
	fs.Inode
	disk    *disk
	number  int
	mode    uint32
	content []byte
}

func (f *diskFile) attributes(out *fuse.Attr) {
	out.Mode, out.Size, out.Nlink = syscall.S_IFREG|f.mode, uint64(len(f.content)), 1
	out.Blocks, out.Blksize = (out.Size+511)/512, 4096
}

// Getattr implements fs.NodeGetattrer.
func (f *diskFile) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.attributes(&out.Attr)
	return 0
}

// Setattr implements fs.NodeSetattrer.
func (f *diskFile) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if size, ok := in.GetSize(); ok {
		if f.disk.failing != 0 {
			return f.disk.failing
		}
		f.resize(int64(size))
		f.disk.happen(diskEvent{kind: "truncate", file: f.number, offset: int64(size)})
	}
	if mode, ok := in.GetMode(); ok {
		f.mode = mode & 0o777
	}
	f.attributes(&out.Attr)
	return 0
}

func (f *diskFile) resize(size int64) {
	f.disk.used += size - int64(len(f.content))
	if size <= int64(len(f.content)) {
		f.content = f.content[:size]
		return
	}
	f.content = append(f.content, make([]byte, size-int64(len(f.content)))...)
}

// Open implements fs.NodeOpener.
func (f *diskFile) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_KEEP_CACHE, 0
}

// Read implements fs.NodeReader.
func (f *diskFile) Read(_ context.Context, _ fs.FileHandle, into []byte, offset int64) (fuse.ReadResult, syscall.Errno) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if offset >= int64(len(f.content)) {
		return fuse.ReadResultData(nil), 0
	}
	return fuse.ReadResultData(into[:copy(into, f.content[offset:])]), 0
}

// Write implements fs.NodeWriter.
func (f *diskFile) Write(_ context.Context, _ fs.FileHandle, data []byte, offset int64) (uint32, syscall.Errno) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.failing != 0 {
		return 0, f.disk.failing
	}
	end := offset + int64(len(data))
	if grown := end - int64(len(f.content)); grown > 0 {
		if f.disk.used+grown > f.disk.size {
			return 0, syscall.ENOSPC
		}
		f.resize(end)
	}
	copy(f.content[offset:], data)
	f.disk.happen(diskEvent{kind: "write", file: f.number, offset: offset, data: append([]byte(nil), data...)})
	return uint32(len(data)), 0
}

// Fsync implements fs.NodeFsyncer.
func (f *diskFile) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	return f.disk.sync(f.number)
}

// cutAt writes into folder what a disk holds whose power was cut at a moment: all that had been synced; of the writes
// after that some, some by half, in no order; of the names a beginning of what happened to them.
func (d *disk) cutAt(t *testing.T, moment int, folder string) {
	t.Helper()
	events := d.events[:moment]
	synced := map[int]int{} // file to the moment of its last sync; 0 is the folder
	for i, e := range events {
		if e.kind == "sync" {
			synced[e.file] = i
		}
	}
	var lateNames []int
	for i, e := range events {
		if (e.kind == "create" || e.kind == "remove" || e.kind == "rename") && i > synced[0] {
			lateNames = append(lateNames, i)
		}
	}
	named := len(events)
	if n := rand.IntN(len(lateNames) + 1); n < len(lateNames) {
		named = lateNames[n]
	}
	names, contents := map[string]int{}, map[int][]byte{}
	for i, e := range events {
		durable := i < synced[e.file]
		switch e.kind {
		case "create":
			if i < named {
				names[e.name] = e.file
			}
		case "remove":
			if i < named {
				delete(names, e.name)
			}
		case "rename":
			if i < named {
				names[e.to] = names[e.name]
				delete(names, e.name)
			}
		case "truncate":
			if durable || rand.IntN(2) == 0 {
				contents[e.file] = resized(contents[e.file], e.offset)
			}
		case "write":
			contents[e.file] = written(contents[e.file], e, durable)
		}
	}
	for name, file := range names {
		if err := os.WriteFile(filepath.Join(folder, name), contents[file], 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func resized(content []byte, size int64) []byte {
	if size <= int64(len(content)) {
		return content[:size]
	}
	return append(content, make([]byte, size-int64(len(content)))...)
}

// written applies a write that was synced, or the sectors of it that happened to reach the disk.
func written(content []byte, e diskEvent, durable bool) []byte {
	fate := rand.IntN(3) // all of it, nothing, some sectors
	if !durable && fate == 1 {
		return content
	}
	for at := int64(0); at < int64(len(e.data)); {
		end := min(int64(len(e.data)), (e.offset+at)/sector*sector+sector-e.offset)
		if durable || fate == 0 || rand.IntN(2) == 0 {
			content = resized(content, max(int64(len(content)), e.offset+end))
			copy(content[e.offset+at:], e.data[at:end])
		}
		at = end
	}
	return content
}

// String tells what the disk has seen.
func (d *disk) String() string {
	counts := map[string]int{}
	for _, e := range d.events {
		counts[e.kind]++
	}
	return fmt.Sprint(counts)
}
