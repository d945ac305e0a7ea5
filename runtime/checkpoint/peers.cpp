#include "runtime/checkpoint/peers.h"

#include <exception>

namespace tranche::checkpoint {

std::vector<std::string> together(const Peers& peers, const std::function<std::string()>& work) {
  // What is said: the exit code as one character, then what was returned or what went wrong.
  const auto said = [](Exit exit, const std::string& text) {
    return static_cast<char>('0' + static_cast<int>(exit)) + text;
  };
  std::string mine;
  std::exception_ptr error;
  try {
    mine = said(Exit::success, work());
  } catch (const Error& failure) {
    error = std::current_exception();
    mine = said(failure.exit(), failure.what());
  } catch (const std::exception& failure) {
    error = std::current_exception();
    mine = said(Exit::internal, failure.what());
  }
  std::vector<std::string> all = peers.gather_text(mine);
  if (error) std::rethrow_exception(error);
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    check(!all[rank].empty(), "rank ", rank, " said nothing");
    const Exit exit = static_cast<Exit>(all[rank][0] - '0');
    all[rank].erase(0, 1);
    if (exit != Exit::success) fail(exit, str("rank ", rank, ": ", without_frames(all[rank])));  // our frames follow
  }
  return all;
}

std::string rank_zero_does(const Peers& peers, const std::function<std::string()>& work) {
  return together(peers, [&] { return peers.rank == 0 ? work() : std::string{}; })[0];
}

}  // namespace tranche::checkpoint
