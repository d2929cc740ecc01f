//go:build !linux

package run

import "testing"

const peerVariable = "VIVARIUM_TEST_PEER"

func startPeer(b *testing.B) string {
	b.Skip("only on Linux a process can be kept to some of the processors")
	return ""
}

func servePeer(string) int { return 1 }
