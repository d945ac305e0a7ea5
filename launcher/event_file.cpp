#include "launcher/event_file.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <boost/crc.hpp>
#include <charconv>
#include <chrono>

#include "launcher/control/machine.h"
#include "runtime/base/error.h"

namespace tranche {
namespace {

// How protocol buffers say what kind of value follows (protobuf.dev/programming-guides/encoding).
enum class Wire : unsigned { varint = 0, eight_bytes = 1, length = 2, four_bytes = 5 };

template <class T> std::string little_endian(T value) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof value; ++i) bytes += static_cast<char>((value >> (8 * i)) & 0xff);
  return bytes;
}

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(0x80 | (value & 0x7f));
  return bytes + static_cast<char>(value);
}

std::string key(unsigned field, Wire wire) { return varint(field << 3 | static_cast<unsigned>(wire)); }

std::string of_double(unsigned field, double value) {
  return key(field, Wire::eight_bytes) + little_endian(std::bit_cast<std::uint64_t>(value));
}
std::string of_float(unsigned field, float value) {
  return key(field, Wire::four_bytes) + little_endian(std::bit_cast<std::uint32_t>(value));
}
std::string of_integer(unsigned field, std::int64_t value) {
  return key(field, Wire::varint) + varint(static_cast<std::uint64_t>(value));
}
// A string or a message.
std::string of_bytes(unsigned field, std::string_view bytes) {
  return (key(field, Wire::length) + varint(bytes.size())).append(bytes);
}

// Numbers of fields, by message.
namespace event {
constexpr unsigned wall_time = 1, step = 2, file_version = 3, summary = 5, session_log = 7;
}
namespace summary {
constexpr unsigned value = 1, tag = 1, simple_value = 2;  // the last two: of Summary.Value
}
namespace session_log {
constexpr unsigned status = 1;
constexpr std::int64_t start = 1;
}  // namespace session_log

// Castagnoli's polynomial (RFC 3720, B.4), rotated and shifted so that bytes which hold a checksum have no trivial one.
std::uint32_t masked_crc32c(std::string_view bytes) {
  boost::crc_optimal<32, 0x1edc6f41, 0xffffffff, 0xffffffff, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return std::rotr(static_cast<std::uint32_t>(crc.checksum()), 15) + 0xa282ead8u;
}

std::string record(const std::string& event) {
  const std::string length = little_endian(std::uint64_t{event.size()});
  return length + little_endian(masked_crc32c(length)) + event + little_endian(masked_crc32c(event));
}

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

constexpr std::string_view begins = "events.out.tfevents.";

// Readers go through a folder's files by name, which begins with the second in which a file was made: one later than
// the last there, also where two starts fall into one second or the clock was set back.
std::uint64_t second_of_next(const std::filesystem::path& folder) {
  auto second = static_cast<std::uint64_t>(now());
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator{folder, error}) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(begins)) continue;
    std::uint64_t there = 0;
    std::from_chars(name.data() + begins.size(), name.data() + name.size(), there);
    second = std::max(second, there + 1);
  }
  return second;
}

}  // namespace

namespace event_record {

std::string version(double wall_time) {
  return record(of_double(event::wall_time, wall_time) + of_bytes(event::file_version, "brain.Event:2"));
}

std::string session_start(double wall_time, std::int64_t step) {
  return record(of_double(event::wall_time, wall_time) + of_integer(event::step, step) +
                of_bytes(event::session_log, of_integer(session_log::status, session_log::start)));
}

std::string scalars(double wall_time, std::int64_t step, std::span<const std::pair<std::string_view, double>> values) {
  std::string all;
  for (const auto& [tag, value] : values)
    all += of_bytes(summary::value,
                    of_bytes(summary::tag, tag) + of_float(summary::simple_value, static_cast<float>(value)));
  return record(of_double(event::wall_time, wall_time) + of_integer(event::step, step) + of_bytes(event::summary, all));
}

}  // namespace event_record

void EventFile::add(std::int64_t step, std::span<const std::pair<std::string_view, double>> values) {
  if (!file_) {
    create_folder(folder_);
    file_ = File::create(folder_ / str(begins, second_of_next(folder_), ".", this_machine().name, ".", ::getpid()));
    append(event_record::version(now()) + event_record::session_start(now(), step));
  }
  append(event_record::scalars(now(), step, values));
}

void EventFile::append(std::string_view record) {
  file_->write(size_, std::as_bytes(std::span{record}));
  size_ += record.size();
}

}  // namespace tranche
