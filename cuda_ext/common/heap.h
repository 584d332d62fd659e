// What the C library does with memory that is freed.
#pragma once

namespace inrcodec {

// While `keep`, freed memory stays with the process, to be handed out again at once: blocks of up to
// a gigabyte, of 32 MiB with an older glibc, in other threads than the first one those of less than
// 64 MiB. Otherwise it goes back to the system beyond some 64 MiB, now too. Fits allocate the same
// tens of megabytes in each iteration, and the system clears every page that it hands out again.
// Overwrites what the process has set of these limits; does nothing where there is no glibc.
void keep_freed_memory(bool keep);

}  // namespace inrcodec
