// This file names a conversation at a target for whoever shows what would be sent.

package delivery

// ObjectName is the Object of the records of a conversation at a target, by the target's first name ever.
func ObjectName(id, target string) string { return objectName(id, target) }
