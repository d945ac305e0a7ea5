#include "runtime/checkpoint/background.h"

#include <algorithm>
#include <cstring>
#include <exception>

#include "runtime/base/log.h"
#include "runtime/base/trace.h"
#include "runtime/checkpoint/save.h"
#include "runtime/checkpoint/two_threads.h"

namespace tranche::checkpoint {
namespace {

void copy_elements(std::span<const float> from, std::span<float> to) {
  constexpr std::size_t block = std::size_t{1} << 18;
  on_two_threads((from.size() + block - 1) / block, [&](std::size_t i) {
    const std::size_t first = i * block, count = std::min(block, from.size() - first);
    std::memcpy(&to[first], &from[first], count * sizeof(float));
  });
}

}  // namespace

BackgroundSaver::BackgroundSaver(ModelState written, Device& host, Peers peers)
    : written_(std::move(written)), copies_(written_), peers_(std::move(peers)) {
  const Doing frame{[] { return std::string{"taking host memory for copies of what checkpoints hold"}; }};
  for (std::size_t u = 0; u < written_.units.size(); ++u)
    for (OwnedSlice& slice : copies_.slices[u]) {
      if (!slice.stays) continue;
      const std::size_t share = share_of(written_.units[u].size(), peers_.size);  // on every rank, as the plan has it
      memory_.push_back(host.allocate(share * sizeof(float), Category::optimizer,
                                      str(written_.units[u].name, ", copied for a checkpoint")));
      slice = OwnedSlice::resident(slice.first, {reinterpret_cast<float*>(memory_.back().data()), slice.count});
    }
}

BackgroundSaver::~BackgroundSaver() {
  if (under_way_.valid()) under_way_.wait();
}

Event BackgroundSaver::save(const std::filesystem::path& directory, std::uint64_t step, const JobState& job,
                            std::size_t keep) {
  finish();
  copy();
  step_ = step;
  const Event read = all_copied() ? Event{} : Event::pending();
  under_way_ = std::async(std::launch::async, [this, read, directory, step, job, keep] {
    std::exception_ptr failure;
    try {
      write(directory, step, job, keep);
    } catch (...) {
      failure = std::current_exception();
    }
    read.complete();
    if (failure) std::rethrow_exception(failure);
  });
  return read;
}

void BackgroundSaver::write(const std::filesystem::path& directory, std::uint64_t step, const JobState& job,
                            std::size_t keep) {
  trace::name_thread("checkpoint");
  const trace::Span span{trace::Kind::disk, "save a checkpoint"};
  try {
    checkpoint::save(directory, step, copies_, job, peers_, keep);
  } catch (const Error& error) {
    log::warning(str("step ", step, " could not be saved, so training ends: ", without_frames(error.what())));
    failed_ = true;
    throw;
  }
}

void BackgroundSaver::finish() {
  if (!under_way_.valid()) return;
  const trace::Span span{trace::Kind::wait, "wait for the last checkpoint"};
  try {
    under_way_.get();
  } catch (const Error& error) {  // of another thread's frames
    fail(error.exit(), str("step ", step_, " could not be saved: ", without_frames(error.what())));
  }
}

void BackgroundSaver::copy() {
  const trace::Span span{trace::Kind::copy, "copy the state"};
  for (std::size_t u = 0; u < written_.units.size(); ++u)
    for (std::size_t kind = 0; kind < written_.kinds.size(); ++kind)
      if (const OwnedSlice& slice = written_.slices[u][kind]; slice.stays)
        copy_elements(slice.borrow().elements, copies_.slices[u][kind].borrow().elements);
}

bool BackgroundSaver::all_copied() const {
  return std::ranges::all_of(written_.slices, [](const std::vector<OwnedSlice>& unit) {
    return std::ranges::all_of(unit, &OwnedSlice::stays);
  });
}

}  // namespace tranche::checkpoint
