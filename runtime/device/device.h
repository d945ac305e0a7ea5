// Memory and order; no mathematics. A rank has one device; its capacity is real on a GPU and a number in the job file
// on the CPU, where exceeding it is the same error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "runtime/device/ledger.h"

namespace tranche {

class CopyStream;
class Device;
class MemoryFile;
class SideStream;

// Owns bytes on a device, aligned to 64. Move-only; empty after a move.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer() { reset(); }

  void reset();
  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  explicit operator bool() const { return device_ != nullptr; }

 private:
  friend class Device;
  Device* device_ = nullptr;
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  std::optional<Ledger::Line> line_;
};

enum class DeviceType { cpu, cuda, shape };
// Where a job's state may live. On the CPU the host's memory is other memory than the device's, counted by itself.
enum class Tier { device, host, disk };
std::string_view name_of(Tier tier);

class Device {
 public:
  static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

  Device(DeviceType type, std::size_t capacity, Tier tier = Tier::device)
      : type_(type), tier_(tier), capacity_(capacity) {}
  virtual ~Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // Uninitialised bytes; zero bytes are allowed and own nothing. Throws Exit::out_of_memory with the ledger when the
  // capacity or the machine's memory does not hold them. `owner` is for reports.
  Buffer allocate(std::size_t bytes, Category category, std::string_view owner);

  DeviceType type() const { return type_; }
  Tier tier() const { return tier_; }
  std::size_t capacity() const { return capacity_; }
  virtual std::string description() const = 0;  // for logs: "4 threads", "GPU 0 (its name)"
  Ledger& ledger() { return ledger_; }
  const Ledger& ledger() const { return ledger_; }

  // Copies between this device's memory and the host's.
  virtual std::unique_ptr<CopyStream> copy_stream() = 0;
  // Another order of work, beside that of the threads that compute.
  virtual std::unique_ptr<SideStream> side_stream();

  // What the host does to bytes of this device; a device whose memory the host cannot address does it its own way, in
  // the order of what the calling thread had it do. What is read is there on return; what is written from may change.
  virtual void fill_zero(std::byte* data, std::size_t bytes);
  virtual void read(const std::byte* data, std::span<std::byte> into) const;
  virtual void write(std::byte* data, std::span<const std::byte> from);
  // Memory that the host can address, for what passes between both: the device itself where that is so, else memory of
  // the device's own making or of who called stage_in.
  Device& staging() { return *staging_; }
  // From now on through `host`, whose ledger counts it then. It outlives whatever passes.
  void stage_in(Device& host) { staging_ = &host; }

  // What the calling thread, which computes, gives the device between these may reach it all at once (together.h): at
  // the end, or when the thread asks for any of it. The default: piece by piece, as it comes.
  virtual void begin_together() {}
  virtual void end_together() {}
  // Has a GPU do so, by CUDA graphs. Before the first work.
  virtual void use_graphs() {}

  // Where peers on the host can read what this device holds for them; null: nowhere.
  virtual const MemoryFile* memory_file() const { return nullptr; }

 protected:
  virtual std::byte* allocate_bytes(std::size_t bytes, Category category) = 0;  // null: there are none
  virtual void free_bytes(std::byte* data, std::size_t bytes) = 0;

 private:
  friend class Buffer;
  DeviceType type_;
  Tier tier_;
  std::size_t capacity_;
  Device* staging_ = this;
  Ledger ledger_;
};

}  // namespace tranche
