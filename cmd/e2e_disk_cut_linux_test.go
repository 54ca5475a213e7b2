// This file cuts the power of a disk at a moment of its record.

package cmd_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// sector is what a disk writes as a whole, in bytes.
const sector = 512

// diskState is what a disk holds.
type diskState struct {
	names    map[int]map[string]int // of folders to numbers of files and folders
	folders  map[int]bool
	contents map[int][]byte
}

func newDiskState() diskState {
	return diskState{names: map[int]map[string]int{0: {}}, folders: map[int]bool{0: true}, contents: map[int][]byte{}}
}

// add gives a name to a file or a folder.
func (s *diskState) add(in int, name string, node int, folder bool) {
	if s.names[in] == nil {
		return // the folder itself has been lost
	}
	s.names[in][name] = node
	if folder {
		s.folders[node], s.names[node] = true, map[string]int{}
	}
}

// clone copies what changes, and shares the bytes.
func (s *diskState) clone() diskState {
	c := diskState{names: map[int]map[string]int{}, folders: maps.Clone(s.folders), contents: maps.Clone(s.contents)}
	for folder, names := range s.names {
		c.names[folder] = maps.Clone(names)
	}
	return c
}

// rename does what an event does to names.
func (s *diskState) rename(e diskEvent) {
	switch e.kind {
	case "create", "link":
		s.add(e.in, e.name, e.file, false)
	case "mkdir":
		s.add(e.in, e.name, e.file, true)
	case "remove":
		delete(s.names[e.in], e.name)
	case "rename":
		if node, there := s.names[e.in][e.name]; there { // else it never came to be
			s.names[e.toIn][e.to] = node
			delete(s.names[e.in], e.name)
		}
	}
}

// write puts it into a folder that is there.
func (s *diskState) write(folder int, path string) error {
	for name, node := range s.names[folder] {
		under := filepath.Join(path, name)
		if !s.folders[node] {
			if err := os.WriteFile(under, s.contents[node], 0o600); err != nil {
				return err
			}
			continue
		}
		if err := os.MkdirAll(under, 0o700); err != nil {
			return err
		}
		if err := s.write(node, under); err != nil {
			return err
		}
	}
	return nil
}

// names tells whether an event changes names.
func (e diskEvent) names() bool {
	switch e.kind {
	case "create", "link", "mkdir", "remove", "rename":
		return true
	}
	return false
}

// lastSyncs returns when each file and each folder was synced last, before a moment.
func (d *disk) lastSyncs(events []diskEvent) map[int]int {
	synced, home := map[int]int{}, map[int]int{} // home: file to the folder of its newest name
	names := d.base.clone()
	for folder, of := range names.names {
		for _, node := range of {
			home[node] = folder
		}
	}
	for i, e := range events {
		switch {
		case e.kind == "rename":
			home[names.names[e.in][e.name]] = e.toIn
			names.rename(e)
		case e.names():
			if e.kind != "remove" {
				home[e.file] = e.in
			}
			names.rename(e)
		case e.kind == "sync":
			synced[e.file] = i
			if d.journal && !names.folders[e.file] {
				synced[home[e.file]] = i
			}
		}
	}
	return synced
}

// cutAt writes into folder what a disk holds whose power was cut at a moment: all that had been synced; of the writes
// after that some, some by half, in no order; of the names in each folder a beginning of what happened to them.
func (d *disk) cutAt(t *testing.T, moment int, folder string) {
	t.Helper()
	events := d.events[:moment]
	synced := d.lastSyncs(events)
	late := map[int][]int{} // folder to what happened to its names since its last sync
	for i, e := range events {
		if e.names() && i > synced[e.in] {
			late[e.in] = append(late[e.in], i)
		}
	}
	named := map[int]int{} // folder to the first event that is lost
	for in, lost := range late {
		if n := rand.IntN(len(lost) + 1); n < len(lost) {
			named[in] = lost[n]
		}
	}
	state := d.base.clone()
	own := map[int]bool{} // contents that are not those of the base
	for i, e := range events {
		if first, some := named[e.in]; e.names() && (!some || i < first) {
			state.rename(e)
		}
		if (e.kind == "truncate" || e.kind == "write") && !own[e.file] {
			own[e.file] = true
			state.contents[e.file] = bytes.Clone(state.contents[e.file])
		}
		durable := i < synced[e.file]
		switch e.kind {
		case "truncate":
			if durable || rand.IntN(2) == 0 {
				state.contents[e.file] = resized(state.contents[e.file], e.offset)
			}
		case "write":
			state.contents[e.file] = written(state.contents[e.file], e, durable)
		}
	}
	if err := state.write(0, folder); err != nil {
		t.Fatal(err)
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
