// Package file keeps the coordinator's store in a directory of an ordinary file system.
//
//	DIR/format               the line "choir.store/1"; another content is refused
//	DIR/lock                 locked (flock) by the one process that has the store open
//	DIR/head                 the head, replaced by renaming a new file over it
//	DIR/journal/NAME.log     one segment: a header, then one frame for each Append
//	DIR/blobs/HEX            one blob under its SHA-256 in hexadecimal, nothing but its bytes
//	DIR/spool/NAME.part      one upload: a header with its declared size, then the bytes that have arrived
//	*.tmp                    a file not yet complete; removed when the store is opened
//
// In NAME, '/' is written '+' and a capital letter '=' and the small one, so that names stay distinct where case does not count.
// Directories are made with mode 0700, files with 0600. A file that does not belong in journal, blobs or spool is
// refused at open and never removed. To copy a store, stop the coordinator first and copy the whole directory.
//
// All integers are little-endian; every checksum is CRC-32C. The header of a file is
//
//	[8]byte  "choirjnl", "choirhed" or "choirspl"
//	byte     version, 1
//	uint64   journal: random salt; head: revision; spool: declared size
//	uint32   checksum of the 17 bytes before
//
// and is always complete, since a file is written under another name, flushed and renamed. After it comes, in the head, the value and its
// checksum; in a part, the bytes of the upload; in a segment, frames:
//
//	uint32   length of the payload
//	uint32   checksum of the payload
//	uint32   checksum of (salt, position of the frame in the file as uint64, the 8 bytes before)
//	payload  for each record of the call: uint32 length, bytes
//
// A frame is written only after the one before it is durable. So a damaged frame with anything after it that was written by a later call
// is corruption, and a damaged frame with nothing sound after it is taken for a write that a crash cut short, and removed. The third
// checksum finds later frames even when a length is damaged; the salt keeps bytes within a record, which a client may have chosen, from
// looking like one. The first frame is written together with the header, so it is never cut short.
//
// The store relies on the operating system for two things: rename within a directory is atomic, and fsync returns nil only if what was
// written through any descriptor of the file, or changed in the directory, is durable.
package file
