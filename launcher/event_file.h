// Event files, as TensorBoard reads them: scalars by tag and step.
//
// A file is a row of records, as TFRecord frames them (tensorflow/core/lib/io/record_writer.h): length, its masked
// CRC-32C, an Event, its masked CRC-32C. The first Event names the version of the format; the second is a SessionLog
// START, with which readers forget what earlier files of the folder have of its step and later ones. So a run that goes
// on from a checkpoint adds a file, and no step is shown twice.
//
// Written by hand rather than with libprotobuf: an Event (tensorflow/core/util/event.proto, framework/summary.proto) is
// seven fields here, and the library would bring a code generator into the build and a shared library to every machine
// that trains.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/base/file.h"

namespace tranche {

// The records themselves. Pure.
namespace event_record {
// wall_time: seconds since 1970.
std::string version(double wall_time);
std::string session_start(double wall_time, std::int64_t step);
// Values become float32; what is not finite stays so.
std::string scalars(double wall_time, std::int64_t step, std::span<const std::pair<std::string_view, double>> values);
}  // namespace event_record

// One process's, from one thread. Throws Exit::storage when the disk refuses.
class EventFile {
 public:
  // Makes no folder and no file before the first scalars.
  explicit EventFile(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // The first call opens a new file, which takes the place of this step and later ones in older files of the folder.
  // What is written is in the file when this returns, though not yet durable.
  void add(std::int64_t step, std::span<const std::pair<std::string_view, double>> values);
  const std::filesystem::path& folder() const { return folder_; }

 private:
  void append(std::string_view record);

  std::filesystem::path folder_;
  std::optional<File> file_;
  std::uint64_t size_ = 0;  // bytes
};

}  // namespace tranche
