#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/transfer/transfer.h"
#include "modules_registry/error.h"

namespace mformer {

/// What to do about an end that says what it should not.
inline constexpr const char* kSameVersion = "is mformer at the other end of the same version?";

/// The other end takes nothing any more: why, it may have said.
class WireGone : public Error {
 public:
  using Error::Error;
};

/// Frames over two file descriptors, which the caller owns: "text N", a line break and N bytes of JSON, "parcel N" with
/// the JSON of a parcel, or "object HASH N" with its bytes. A text is small enough to be in memory as JSON; parcels and
/// objects are sent and read piece by piece. docs/transfer.md.
class Wire {
 public:
  /// Waiting for the other end asks `should_stop`, if there is one, from time to time, and throws StoppedError.
  Wire(int in, int out, std::function<bool()> should_stop = {})
      : in_(in), out_(out), should_stop_(std::move(should_stop)) {}

  /// Throws Error, and sends nothing, where it is longer than the other end takes: 16 MiB, some 250,000 hashes.
  void send(const nlohmann::json& message);
  void send_parcel(const Parcel& parcel);
  /// Sends what went wrong; receive() of the other end throws it.
  void send_error(const Error& error);
  void send_object(const std::string& hash, std::int64_t size, const ObjectStore::Reader& read);

  /// Throws Error if the other end is gone, says what went wrong there, or sends anything but a text of at most 16
  /// MiB.
  nlohmann::json receive();
  /// The same; nothing where the other end has ended between two frames.
  std::optional<nlohmann::json> receive_or_end();
  /// The next frame, which must be a parcel. Throws as receive().
  Parcel receive_parcel();
  /// Takes the next frames, which must be these objects in this order.
  void receive_objects(const std::vector<std::string>& hashes, const TakeObject& take);

 private:
  std::string header();
  [[noreturn]] void fail_instead_of(const std::string& wanted, const std::string& header);
  std::size_t read_some(std::span<std::byte> bytes);
  void read_all(std::span<std::byte> bytes);
  void write_all(Bytes bytes);

  int in_, out_;
  std::function<bool()> should_stop_;
  std::vector<std::byte> buffer_;
  std::size_t at_ = 0;
};

/// What a text frame or a bundle says, if it is JSON that is not nested too deep. Throws Error.
nlohmann::json json_of_stranger(const std::string& text);

}  // namespace mformer
