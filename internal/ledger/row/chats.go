// This file says what counts as a conversation.

package row

import "github.com/afterchat/afterchat/internal/chat"

// Chats is how many conversations of a platform count as one: none of our own.
func Chats(platform string) int64 {
	if platform == chat.OwnPlatform {
		return 0
	}
	return 1
}
