// Work that a device does beside what it computes: the adding of gradients that arrive, the copies of a collective.
#pragma once

#include <functional>
#include <memory>

namespace tranche {

// Used by several threads, one at a time.
class SideStream {
 public:
  virtual ~SideStream() = default;

  // A place in the order of what the calling thread had the device do: after all of it so far.
  using Place = std::shared_ptr<const void>;
  virtual Place here() = 0;

  // Does `work` on the calling thread. What it has the device do comes after `after` (none: after nothing but earlier
  // work of this stream), and is done on return.
  virtual void run(const Place& after, const std::function<void()>& work) = 0;

  // As run, but returns once the device was given everything: the place behind it.
  virtual Place give(const Place& after, const std::function<void()>& work) = 0;
  // What the calling thread has the device do from here on comes after `place`; the thread itself does not wait.
  virtual void come_after(const Place& place) = 0;
};

}  // namespace tranche
