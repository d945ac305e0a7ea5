// A checkpoint's model, whole, for commands that run on one rank and make something of it.
#pragma once

#include <memory>
#include <utility>

#include "compress/quantize_weights.h"
#include "launcher/assemble.h"
#include "launcher/session.h"

namespace tranche {

// Throws Exit::usage where there are several; command: its name.
inline void check_one_rank(const char* command, const Session& session) {
  ensure(Exit::usage, session.ranks() == 1, command, " runs on one rank: start it without mpirun");
}

// Stays where it is made.
struct OpenedModel {
  // instead: as a replica's.
  OpenedModel(OpenedCheckpoint checkpoint, Session& session, Replica::Instead instead = {})
      : opened(std::move(checkpoint)),
        device(session.make_cpu_device(opened.job->device)),
        host(session.make_host(opened.job->device, *device)),
        disk(opened.job->offload),
        world(session.make_world(*device)),
        replica(*opened.job, *world, {*device, *host, disk}, std::move(instead)),
        updates(replica.load_parameters(opened.folder)),
        state(replica.held()) {}

  compress::UnitValues values_of(const Unit& unit) const {
    const checkpoint::Borrowed all = state.slices[unit.index()].front().borrow();  // the masters
    return {all.elements, all.holder};
  }
  const std::deque<Unit>& units() { return replica.model().units(); }

  OpenedCheckpoint opened;
  std::unique_ptr<CpuDevice> device, host;
  SwapDisk disk;
  std::unique_ptr<Communicator> world;
  Replica replica;
  std::uint64_t updates;
  checkpoint::ModelState state;
};

}  // namespace tranche
