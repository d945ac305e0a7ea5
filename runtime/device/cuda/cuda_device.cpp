#include "runtime/device/cuda/cuda_device.h"

#include <utility>

#include "runtime/base/error.h"
#include "runtime/base/trace.h"
#include "runtime/device/copy_stream.h"
#include "runtime/device/side_stream.h"
#include "runtime/device/size_class.h"

// The emulator's (tests/cuda_emulation), absent on a GPU. Without being told it takes memory that is kept for later,
// and what a size class adds, for memory in use. `stream`: in whose order that is so.
extern "C" {
[[gnu::weak]] void tranche_emulator_take(cudaStream_t stream, void* data, std::size_t bytes, std::size_t whole);
[[gnu::weak]] void tranche_emulator_give_back(cudaStream_t stream, void* data, std::size_t whole);
}

namespace tranche::cuda {
namespace {

thread_local cudaStream_t side = nullptr;  // of the calling thread, inside of SideStream::run

std::byte* make(std::size_t bytes) {
  void* data = nullptr;
  if (cudaMalloc(&data, bytes) == cudaSuccess) return static_cast<std::byte*>(data);
  cudaGetLastError();  // it was an answer
  return nullptr;
}
void release(std::byte* data) { cudaFree(data); }

class CudaCopyStream : public CopyStream {
 public:
  explicit CudaCopyStream(const CudaDevice& device) : device_(device) {
    device.stream();
    stream_ = std::make_unique<Stream>();
  }
  ~CudaCopyStream() override { cudaStreamSynchronize(*stream_); }

  Event copy(std::span<const std::byte> from, std::span<std::byte> to) override {
    check(from.size() == to.size(), "a copy of ", from.size(), " bytes to ", to.size());
    if (from.empty()) return {};
    const trace::Span span{trace::Kind::copy, "begin a copy between tiers", {}, from.size()};
    Mark{device_.launched_stream()}.precedes(*stream_);
    succeed(cudaMemcpyAsync(to.data(), from.data(), from.size(), cudaMemcpyDefault, *stream_), "cudaMemcpyAsync");
    return Event::deferred([copied = std::make_shared<const Mark>(*stream_)] { copied->wait(); });
  }

 private:
  const CudaDevice& device_;
  std::unique_ptr<Stream> stream_;
};

}  // namespace

class CudaSideStream : public SideStream {
 public:
  explicit CudaSideStream(const CudaDevice& device) : device_(device) {
    device.use();
    stream_ = std::make_unique<Stream>();
  }
  ~CudaSideStream() override { cudaStreamSynchronize(*stream_); }

  Place here() override { return std::make_shared<const Mark>(device_.launched_stream()); }

  void run(const Place& after, const std::function<void()>& work) override {
    give_work(after, work);
    stream_->wait_for_all();
  }
  Place give(const Place& after, const std::function<void()>& work) override {
    give_work(after, work);
    return std::make_shared<const Mark>(*stream_);
  }
  void come_after(const Place& place) override {
    if (place) static_cast<const Mark*>(place.get())->precedes(device_.launched_stream());
  }

 private:
  void give_work(const Place& after, const std::function<void()>& work) {
    struct Inside {
      cudaStream_t before;
      ~Inside() { side = before; }
    };
    device_.use();
    if (after) static_cast<const Mark*>(after.get())->precedes(*stream_);
    const Inside inside{std::exchange(side, *stream_)};
    work();
  }

  const CudaDevice& device_;
  std::unique_ptr<Stream> stream_;
};

CudaDevice::CudaDevice(int ordinal, std::string name, std::size_t capacity)
    : Device(DeviceType::cuda, capacity), ordinal_(ordinal), name_(std::move(name)), blocks_(make, release) {
  use();
  computes_ = std::make_unique<Stream>();
  stage_in(own_staging_);
}

CudaDevice::~CudaDevice() {
  captures_.reset();
  for (const Returned& each : returned_) blocks_.keep(each.data, each.bytes);
  cudaStreamSynchronize(*computes_);
}

std::string CudaDevice::description() const { return str("GPU ", ordinal_, " (", name_, ")"); }

void CudaDevice::use() const { succeed(cudaSetDevice(ordinal_), "cudaSetDevice"); }

cudaStream_t CudaDevice::stream() const {
  use();
  return side != nullptr ? side : static_cast<cudaStream_t>(*computes_);
}

cudaStream_t CudaDevice::launched_stream() const {
  if (side == nullptr && captures_) captures_->launch();
  return stream();
}

void CudaDevice::use_graphs() {
  use();
  captures_ = std::make_unique<Captures>(*computes_);
}

void CudaDevice::begin_together() {
  if (!captures_ || captures_->capturing()) return;
  use();
  take_back();
  captures_->begin();
}

void CudaDevice::end_together() {
  if (captures_) captures_->launch();
}

void CudaDevice::take_back() {
  const std::lock_guard lock{mutex_};
  for (const Returned& each : returned_) {
    each.after->precedes(*computes_);
    blocks_.keep(each.data, each.bytes);
  }
  returned_.clear();
}

void CudaDevice::fill_zero(std::byte* data, std::size_t bytes) {
  if (bytes != 0) succeed(cudaMemsetAsync(data, 0, bytes, stream()), "cudaMemsetAsync");
}

void CudaDevice::read(const std::byte* data, std::span<std::byte> into) const {
  if (into.empty()) return;
  const cudaStream_t stream = launched_stream();
  succeed(cudaMemcpyAsync(into.data(), data, into.size(), cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
  succeed(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
}

// From memory that may be pageable or not: only after the wait may it change in either case.
void CudaDevice::write(std::byte* data, std::span<const std::byte> from) {
  if (from.empty()) return;
  const cudaStream_t stream = launched_stream();
  succeed(cudaMemcpyAsync(data, from.data(), from.size(), cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync");
  succeed(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
}

std::unique_ptr<CopyStream> CudaDevice::copy_stream() { return std::make_unique<CudaCopyStream>(*this); }
std::unique_ptr<SideStream> CudaDevice::side_stream() { return std::make_unique<CudaSideStream>(*this); }

// Blocks change hands in the computing stream's order: a side stream waits for it, and it for a side stream. What CUDA
// gives it may take from blocks that are kept, and it knows nothing of work that was not launched.
std::byte* CudaDevice::allocate_bytes(std::size_t bytes, Category) {
  check(side == nullptr || !captures_, "a side stream takes memory of a device that captures graphs");
  std::byte* data = blocks_.take_kept(bytes);
  const cudaStream_t here = data == nullptr ? launched_stream() : stream();
  if (data == nullptr) data = blocks_.take(bytes);
  if (data == nullptr) return nullptr;
  if (side != nullptr) Mark{*computes_}.precedes(here);
  if (tranche_emulator_take != nullptr) tranche_emulator_take(here, data, bytes, size_class(bytes));
  return data;
}

void CudaDevice::free_bytes(std::byte* data, std::size_t bytes) {
  const cudaStream_t here = stream();
  if (tranche_emulator_give_back != nullptr) tranche_emulator_give_back(here, data, size_class(bytes));
  if (side != nullptr && captures_) {
    const std::lock_guard lock{mutex_};
    returned_.push_back({std::make_unique<Mark>(here), data, bytes});
    return;
  }
  if (side != nullptr) Mark{here}.precedes(*computes_);
  blocks_.keep(data, bytes);
}

}  // namespace tranche::cuda
