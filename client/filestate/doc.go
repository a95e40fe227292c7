// Package filestate keeps a client's state in a directory of its own, so that a
// restart loses nothing that can be resumed and forgets nothing that must not be
// begun again. It implements client.State.
//
// # Durability
//
// What a call reports as done is on the disk: files are flushed before they get
// their name, and directories after. A call that fails has either happened or
// not, never half. One process at a time may hold the directory; a lock that dies
// with its process says so.
//
// # What encryption protects, and what not
//
// Records, which hold an attempt's secrets, and the device's account are sealed
// with AES-256-GCM, each bound to its name, under a key of 32 bytes that the app
// hands to Open: from the platform's key store, best. Then a stolen or copied
// directory tells names of jobs, round numbers, sizes and times, and nothing else.
//
// Without a key of the app, Open makes one in the file "key". That protects
// copies which leave that file out, such as backups of the records alone. It does
// not protect against who can read the whole directory: other processes of the
// same user, the administrator, whoever takes the disk. Encrypt the disk then.
//
// Nothing here protects against an attacker who can write to the directory: it
// can be put back to an earlier state as a whole, and with it the account: a budget
// holds as far as the directory does. Ciphertexts are stored as the scheme made them: scheme plain makes none,
// and its uploads lie there in clear until their attempt is over. What is erased
// is unlinked; a flash disk may keep the old blocks for a while.
//
// Layout: key, lock, tally, records/JOB@ROUND@ATTEMPT, sealed/JOB@ROUND@ATTEMPT.
// The directory and its files can be read by their owner only. Unix systems only.
package filestate
