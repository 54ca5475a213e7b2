// This file is a disk for the tests of the built binary: a file system in memory that remembers every write and every
// sync, so that a power cut can be played at any moment, and that can be slow, full, read-only or broken.

package cmd_test

import (
	"bytes"
	"context"
	iofs "io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// diskEvent is something that happened to the disk.
type diskEvent struct {
	kind   string // write, truncate, sync of a file or folder; create, mkdir, link, remove, rename of a name in a folder
	in     int    // the folder of the name; 0: the first one
	file   int    // or folder
	name   string
	toIn   int // where it is renamed to
	to     string
	offset int64
	data   []byte
}

// disk is a mounted folder.
type disk struct {
	folder string // where it is mounted
	owner  fuse.Owner
	// journal keeps the name of a file when the file is synced, as ext4, xfs and btrfs do. Without it a name is safe when
	// its folder has been synced, and not before, which is all that POSIX says.
	journal bool

	mu      sync.Mutex
	first   *diskFolder
	base    diskState // what was there when the record began
	events  []diskEvent
	record  bool
	nodes   int // that were made, besides the first folder
	used    int64
	size    int64         // bytes that fit
	failing syscall.Errno // of everything that writes; 0: none
	delay   time.Duration // of a sync
	changed chan struct{} // closed by set: syncs that wait go on
}

// newDisk mounts one, or skips the test where that is not possible.
func newDisk(t *testing.T) *disk {
	t.Helper()
	d := &disk{folder: t.TempDir(), size: 1 << 30, changed: make(chan struct{})}
	d.mount(t, 0o755)
	return d
}

// mount mounts it until the end of the test.
func (d *disk) mount(t *testing.T, mode uint32) {
	t.Helper()
	d.first = &diskFolder{disk: d, mode: mode}
	none := time.Duration(0)
	server, err := fs.Mount(d.folder, d.first, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "afterchat-test", MaxWrite: 1 << 17, AllowOther: d.owner.Uid != 0},
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
}

// newDiskOver mounts one over a folder, with all that is in it, for its owner.
func newDiskOver(t *testing.T, folder string) *disk {
	t.Helper()
	info, err := os.Stat(folder)
	if err != nil {
		t.Fatal(err)
	}
	of, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatalf("nobody knows who owns %s", folder)
	}
	d := &disk{folder: folder, owner: fuse.Owner{Uid: of.Uid, Gid: of.Gid}, size: 1 << 30, changed: make(chan struct{})}
	under := os.DirFS(folder)
	content := map[string][]byte{}
	var names []string
	err = iofs.WalkDir(under, ".", func(name string, entry iofs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		names = append(names, name)
		if entry.IsDir() {
			return nil
		}
		content[name], err = iofs.ReadFile(under, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	d.mount(t, uint32(info.Mode().Perm()))
	d.mu.Lock()
	defer d.mu.Unlock()
	folders := map[string]*diskFolder{".": d.first}
	for _, name := range names {
		in, last := folders[filepath.Dir(name)], filepath.Base(name)
		text, file := content[name]
		if !file {
			folders[name] = in.addFolder(t.Context(), last, 0o700)
			continue
		}
		f := in.addFile(t.Context(), last, 0o600)
		f.content = text
		d.used += int64(len(text))
	}
	return d
}

// set changes how the disk behaves.
func (d *disk) set(failing syscall.Errno, delay time.Duration, size int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failing, d.delay, d.size = failing, delay, size
	close(d.changed)
	d.changed = make(chan struct{})
}

// keep begins the record: what is there is safe.
func (d *disk) keep() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.base, d.record = newDiskState(), true
	d.first.keep(&d.base)
}

// keep adds what is in the folder to a state; the disk's mutex is held.
func (n *diskFolder) keep(s *diskState) {
	for name, child := range n.Children() {
		switch node := child.Operations().(type) {
		case *diskFolder:
			s.add(n.number, name, node.number, true)
			node.keep(s)
		case *diskFile:
			s.add(n.number, name, node.number, false)
			s.contents[node.number] = bytes.Clone(node.content)
		}
	}
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

func (d *disk) sync(node int) syscall.Errno {
	d.mu.Lock()
	delay, failing, changed := d.delay, d.failing, d.changed
	d.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-changed:
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if failing == 0 {
		d.happen(diskEvent{kind: "sync", file: node})
	}
	return failing
}

// change does what changes names, unless the disk is failing.
func (d *disk) change(e diskEvent, do func()) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failing != 0 {
		return d.failing
	}
	if do != nil {
		do()
	}
	if e.file < 0 {
		e.file = d.nodes
	}
	d.happen(e)
	return 0
}

// diskFolder is a folder.
type diskFolder struct {
	fs.Inode
	disk   *disk
	number int
	mode   uint32
}

// addFile makes an empty file; the disk's mutex is held.
func (n *diskFolder) addFile(ctx context.Context, name string, mode uint32) *diskFile {
	n.disk.nodes++
	f := &diskFile{disk: n.disk, number: n.disk.nodes, mode: mode & 0o777}
	n.AddChild(name, n.NewPersistentInode(ctx, f, fs.StableAttr{Mode: syscall.S_IFREG, Ino: uint64(f.number) + 100}), true)
	return f
}

// addFolder makes an empty folder; the disk's mutex is held.
func (n *diskFolder) addFolder(ctx context.Context, name string, mode uint32) *diskFolder {
	n.disk.nodes++
	f := &diskFolder{disk: n.disk, number: n.disk.nodes, mode: mode & 0o777}
	n.AddChild(name, n.NewPersistentInode(ctx, f, fs.StableAttr{Mode: syscall.S_IFDIR, Ino: uint64(f.number) + 100}), true)
	return f
}

// forget gives back the room of a file whose name goes; the disk's mutex is held.
func (n *diskFolder) forget(name string) {
	child := n.GetChild(name)
	if child == nil {
		return
	}
	if f, ok := child.Operations().(*diskFile); ok && f.links == 0 {
		n.disk.used -= int64(len(f.content))
	} else if ok {
		f.links--
	}
}

func (n *diskFolder) attributes(out *fuse.Attr) {
	out.Mode, out.Nlink, out.Owner = syscall.S_IFDIR|n.mode, 2, n.disk.owner
}

// Getattr implements fs.NodeGetattrer.
func (n *diskFolder) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	n.attributes(&out.Attr)
	return 0
}

// Setattr implements fs.NodeSetattrer.
func (n *diskFolder) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if mode, ok := in.GetMode(); ok {
		n.mode = mode & 0o777
	}
	n.attributes(&out.Attr)
	return 0
}

// Create implements fs.NodeCreater.
func (n *diskFolder) Create(ctx context.Context, name string, _, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	var f *diskFile
	errno := n.disk.change(diskEvent{kind: "create", in: n.number, file: -1, name: name}, func() {
		f = n.addFile(ctx, name, mode)
		f.attributes(&out.Attr)
	})
	if errno != 0 {
		return nil, nil, 0, errno
	}
	return f.EmbeddedInode(), nil, 0, 0
}

// Mkdir implements fs.NodeMkdirer.
func (n *diskFolder) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	var f *diskFolder
	errno := n.disk.change(diskEvent{kind: "mkdir", in: n.number, file: -1, name: name}, func() {
		f = n.addFolder(ctx, name, mode)
		f.attributes(&out.Attr)
	})
	if errno != 0 {
		return nil, errno
	}
	return f.EmbeddedInode(), 0
}

// Link implements fs.NodeLinker.
func (n *diskFolder) Link(_ context.Context, to fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	f, ok := to.(*diskFile)
	if !ok {
		return nil, syscall.EPERM
	}
	errno := n.disk.change(diskEvent{kind: "link", in: n.number, file: f.number, name: name}, func() {
		f.links++
		n.AddChild(name, f.EmbeddedInode(), true)
		f.attributes(&out.Attr)
	})
	return f.EmbeddedInode(), errno
}

// Unlink implements fs.NodeUnlinker.
func (n *diskFolder) Unlink(_ context.Context, name string) syscall.Errno {
	return n.disk.change(diskEvent{kind: "remove", in: n.number, name: name}, func() { n.forget(name) })
}

// Rmdir implements fs.NodeRmdirer.
func (n *diskFolder) Rmdir(_ context.Context, name string) syscall.Errno {
	if child := n.GetChild(name); child != nil && len(child.Children()) > 0 {
		return syscall.ENOTEMPTY
	}
	return n.disk.change(diskEvent{kind: "remove", in: n.number, name: name}, nil)
}

// Rename implements fs.NodeRenamer.
func (n *diskFolder) Rename(_ context.Context, name string, parent fs.InodeEmbedder, to string, _ uint32) syscall.Errno {
	into, ok := parent.(*diskFolder)
	if !ok {
		return syscall.ENOTDIR
	}
	return n.disk.change(diskEvent{kind: "rename", in: n.number, name: name, toIn: into.number, to: to}, func() { into.forget(to) })
}

// Fsync implements fs.NodeFsyncer.
func (n *diskFolder) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	return n.disk.sync(n.number)
}

// Statfs implements fs.NodeStatfser.
func (n *diskFolder) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	d := n.disk
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
	links   int // names besides the first
	content []byte
}

func (f *diskFile) attributes(out *fuse.Attr) {
	out.Mode, out.Size, out.Nlink, out.Owner = syscall.S_IFREG|f.mode, uint64(len(f.content)), 1+uint32(f.links), f.disk.owner
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
