// The ranks of one host: they read each other's rows where they lie.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/comm/meeting.h"
#include "runtime/device/device.h"
#include "runtime/device/memory_file.h"

namespace tranche {

class HostTeam {
 public:
  // Collective among the ranks of `host`, whose numbers in the job are `ranks`, in order: all of them get a team, or
  // none. None where `device` of one has no memory file or a peer's cannot be opened, which one rank then logs; and
  // where a rank has no peer.
  static std::unique_ptr<HostTeam> join(MPI_Comm host, std::vector<std::size_t> ranks, Device& device);
  ~HostTeam();
  HostTeam(const HostTeam&) = delete;
  HostTeam& operator=(const HostTeam&) = delete;

  bool has(std::size_t rank) const { return place_of(rank).has_value(); }
  std::size_t size() const { return ranks_.size(); }

  // What this rank will post: bytes that peers can see. Other memory than the device's memory file is copied when the
  // meeting begins: little of it to the control block, more to a buffer of the device (Category::communication).
  class Posting;
  Posting bring(std::span<const std::byte> bytes, const std::string& label) const;

  // A meeting: begin, row of every rank that was asked to bring something, end. As Meeting; all ranks post as many
  // bytes as their calls say, or none.
  void begin(const CollectiveCall& call, const Posting& mine);
  std::span<const std::byte> row(std::size_t rank);  // valid until the next call
  void end(const std::string& why_not) { meeting_->end(why_not); }
  void leave(const std::string& farewell) { meeting_->leave(farewell); }

 private:
  struct Member;
  HostTeam(std::vector<std::size_t> ranks, std::size_t mine, Device& device);
  std::optional<std::size_t> place_of(std::size_t rank) const;
  std::span<std::byte> small_row_of(std::size_t place) const;
  std::string gone(std::size_t place) const;

  std::vector<std::size_t> ranks_;  // place p is rank ranks_[p]'s
  std::size_t place_;               // of this rank
  Device& device_;
  std::unique_ptr<MemoryFile> control_;  // the meeting's, then a small row of each rank
  std::vector<std::unique_ptr<Member>> members_;
  std::unique_ptr<Meeting> meeting_;
  std::size_t bytes_ = 0;  // of each rank's row in the meeting under way
};

class HostTeam::Posting {
 private:
  friend class HostTeam;
  std::span<const std::byte> bytes_;
  Buffer copy_;  // if it takes one
};

}  // namespace tranche
