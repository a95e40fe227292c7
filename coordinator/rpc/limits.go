package rpc

import (
	"cmp"
	"time"

	"github.com/choir-fl/choir/fault"
)

const (
	// maxMessage is the largest gRPC message in either direction, in bytes.
	maxMessage = 1 << 20
	// maxPart is the most data in one message of a stream, in bytes.
	maxPart = 256 << 10
	// streamWindow is how many bytes of a stream may be on their way to the server
	// before it has read them. Fixed, so that memory is bounded by streams times
	// this, and so is what a broken connection costs.
	streamWindow = 512 << 10
	// connectionWindow is the same for all streams of a connection together.
	connectionWindow = 1 << 20
	// streamsPerConnection bounds what one connection can ask for at once.
	streamsPerConnection = 32
	// maxHeaders is the largest header list of a call, in bytes.
	maxHeaders = 8 << 10
	// maxJobs is the most runs that one server hosts.
	maxJobs = 64
)

// Limits bound what peers can use. A zero field takes the default named here.
type Limits struct {
	// Connections is how many may be open. Default 8192.
	Connections int
	// Streams is how many calls may be under way in all. Default 16384.
	Streams int
	// StreamsPerParty is how many calls one party, or one address without a
	// certificate, may have under way. Default 8. A committee member may have four
	// times as many: it serves several jobs, with up to three calls for each.
	StreamsPerParty int
	// Uploads is how many uploads may move bytes at once. Default 256.
	Uploads int
	// Letters is how many streams may move letters to committee members at once.
	// Default 32.
	Letters int
	// Buffered is how many bytes of canonical messages may be in memory while they
	// are being received. Default 256 MiB.
	Buffered int64
	// CallsPerSecond is how often one party, or one address without a certificate,
	// may call; CallBurst is how many calls it may save up. Default 20 and 100.
	CallsPerSecond float64
	CallBurst      int
	// UploadRate is the most bytes per second in one upload. Default 0: no limit.
	UploadRate int64
	// Idle is how long a peer may keep a stream waiting for its next byte or for
	// room to write. Default 30 s.
	Idle time.Duration
	// Call is how long a short call may last, Stream one that moves bulk or waits;
	// both go on in another call. Default 30 s and 1 h.
	Call, Stream time.Duration
	// Poll is how long Receive waits before it says that there is nothing yet. Default 50 s.
	Poll time.Duration
	// Handshake is how long a new connection may take to become one. Default 10 s.
	Handshake time.Duration
	// Grace is how long calls may go on after the server was told to stop. Default 10 s.
	Grace time.Duration
	// Spool is the most bytes of uploads under way or not yet in a sum, for each
	// run. Default 64 GiB.
	Spool int64
	// Model is the largest initial model, in bytes of safetensors. Default 2 GiB.
	Model int64
}

// ErrConfig is a server configuration that contradicts itself.
var ErrConfig = fault.New(fault.Usage, "rpc/config", "server configuration is refused", "correct the configuration")

// check fills in the defaults and refuses what is negative.
func (l Limits) check() (Limits, error) {
	for _, v := range []int64{int64(l.Connections), int64(l.Streams), int64(l.StreamsPerParty), int64(l.Uploads), int64(l.Letters), l.Buffered,
		int64(l.CallBurst), l.UploadRate, int64(l.Idle), int64(l.Call), int64(l.Stream), int64(l.Poll), int64(l.Handshake),
		int64(l.Grace), l.Spool, l.Model} {
		if v < 0 {
			return l, ErrConfig.At("limits: %d is negative", v)
		}
	}
	if l.CallsPerSecond < 0 || l.CallsPerSecond != l.CallsPerSecond {
		return l, ErrConfig.At("limits: %v calls per second", l.CallsPerSecond)
	}
	l.Connections = cmp.Or(l.Connections, 8192)
	l.Streams = cmp.Or(l.Streams, 16384)
	l.StreamsPerParty = cmp.Or(l.StreamsPerParty, 8)
	l.Uploads = cmp.Or(l.Uploads, 256)
	l.Letters = cmp.Or(l.Letters, 32)
	l.Buffered = cmp.Or(l.Buffered, 256<<20)
	l.CallsPerSecond = cmp.Or(l.CallsPerSecond, 20)
	l.CallBurst = cmp.Or(l.CallBurst, 100)
	l.Idle = cmp.Or(l.Idle, 30*time.Second)
	l.Call = cmp.Or(l.Call, 30*time.Second)
	l.Stream = cmp.Or(l.Stream, time.Hour)
	l.Poll = cmp.Or(l.Poll, 50*time.Second)
	l.Handshake = cmp.Or(l.Handshake, 10*time.Second)
	l.Grace = cmp.Or(l.Grace, 10*time.Second)
	l.Spool = cmp.Or(l.Spool, 64<<30)
	l.Model = cmp.Or(l.Model, 2<<30)
	return l, nil
}
