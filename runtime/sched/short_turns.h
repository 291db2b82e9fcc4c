// Of threads that only answer others.
#pragma once

namespace jvmc::rt {

/// Threads that compute take turns of some milliseconds. Who wakes up to a message or a timer, as the calling thread
/// does, need not wait for the end of one if its own turns are shorter (Linux 6.12, EEVDF). Elsewhere nothing changes.
void takeShortTurns();

}  // namespace jvmc::rt
