// Waiting on a word of memory that threads, or processes, share.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace tranche {

using Word = std::atomic<std::uint32_t>;
static_assert(Word::is_always_lock_free && sizeof(Word) == 4, "processes share it, and the kernel reads it");

// Returns when `word` is not `seen` any more, or `at_most` has passed: true if it changed. Looks for some microseconds,
// giving way to others, and then sleeps: ranks may outnumber cores, and a peer may be computing for long.
bool wait_for_change(const Word& word, std::uint32_t seen, std::chrono::milliseconds at_most);

void wake_one(Word& word);
void wake_all(Word& word);

}  // namespace tranche
