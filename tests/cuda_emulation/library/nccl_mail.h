// How the emulated NCCL's ranks, which are processes, give each other bytes: a file that all of them map. Rounds: each
// rank posts what it sends and what it expects; once all have, each looks at what the others posted, and takes its own.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace tranche::cuda_emulation {

// One message of a round, as its sender or its receiver names it.
struct Message {
  std::uint64_t peer = 0, count = 0, type = 0;
  bool sends = false;
  std::size_t offset = 0;  // among the sender's bytes of the round
  bool operator==(const Message&) const = default;
};

class Mail {
 public:
  static constexpr std::size_t most_ranks = 16, most_messages = 64, most_bytes = std::size_t{32} << 20;  // of a round

  // A new file in a folder of its own: what the others find it by.
  static std::string found();
  // Throws an Error if there is no such file, or if that rank is there already. The last to join removes the file.
  Mail(const std::string& name, std::size_t rank, std::size_t size);
  ~Mail();
  Mail(const Mail&) = delete;
  Mail& operator=(const Mail&) = delete;

  std::size_t rank() const { return rank_; }
  std::size_t size() const { return size_; }
  bool all_joined() const;
  // Whether another rank has come to this round, from 1.
  bool awaited(std::uint64_t round) const;

  // Where this rank's bytes of the round go, once all have taken those of the round before; then they are posted. False
  // from here on: given up.
  using Until = std::function<bool(const std::function<bool()>& holds, const std::function<std::string()>& whom)>;
  bool begin(std::uint64_t round, const Until& until);
  std::byte* bytes() const { return bytes_of(rank_); }
  bool post(std::uint64_t round, const std::string& op, std::span<const Message> messages, const Until& until);
  // After post: empty, or which message of this rank's nobody sends or receives, and what was found in its place.
  std::string mismatch() const;
  // What the n-th message from that peer to this rank brings.
  const std::byte* from(std::size_t peer, std::size_t n) const;
  void taken(std::uint64_t round);

 private:
  struct Box;
  Box& box(std::size_t rank) const;
  std::byte* bytes_of(std::size_t rank) const;
  std::vector<Message> messages_of(std::size_t rank, std::size_t peer, bool sends) const;
  std::string names_of_missing(std::uint64_t round) const;

  std::size_t rank_, size_;
  std::byte* memory_ = nullptr;
};

}  // namespace tranche::cuda_emulation
