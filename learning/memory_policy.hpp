// What the C library does with freed memory.
#pragma once

namespace fl {

/// Keeps the activations of one batch (some 25 MB) and the chunks of transfers for the next instead of
/// returning them to the system and faulting them in again: 3,000 page faults and 12 of 43 ms a step of the
/// tutorial's CNN. For the whole process, once.
void keep_freed_memory();

}  // namespace fl
