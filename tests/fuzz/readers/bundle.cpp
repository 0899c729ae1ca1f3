#include "core/transfer/bundle.h"

#include <algorithm>
#include <span>

#include "core/transfer/parcel_json.h"
#include "modules_registry/files.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/readers.h"

namespace mformer::fuzz {
namespace {

/// A bundle with this index and one object, the byte "x", whole by its checksums.
std::string bundle_of(std::string_view index) {
  std::string bytes = "mformer bundle 1\ntext " + std::to_string(index.size()) + '\n' + std::string(index);
  bytes += "object " + sha256_hex(std::string_view("x")) + " 1\nx";
  return bytes + "end " + sha256_hex(bytes) + '\n';
}

/// What is said of objects and of versions is what is given.
void take_all(Source& source) {
  for (const std::string& model : source.models()) {
    const Offer offer = source.offer(model);
    const Parcel parcel = source.parcel(offer, offer.versions, offer.measured);
    must(parcel.versions.size() == offer.versions.size(), "every version that is offered is given");
    std::vector<std::string> hashes;
    for (const auto& [hash, size] : parcel.sizes) hashes.push_back(hash);
    source.objects(hashes, [](const std::string& hash, std::int64_t size, const ObjectStore::Reader& read) {
      std::vector<std::byte> bytes(static_cast<std::size_t>(size));
      must(read(bytes) == bytes.size() && sha256_hex(Bytes(bytes)) == hash, "an object has its hash");
    });
  }
}

}  // namespace

/// A bundle, or the index of one.
void read_bundle(std::string_view input) {
  const bool whole = input.starts_with("mformer bundle");
  const auto file = Scratch::folder().write("a.bundle", whole ? std::string(input) : bundle_of(input));
  BundleSource source(file, {});
  take_all(source);
}

/// What goes over a wire: written again it is the same.
void read_parcel(std::string_view input) {
  const auto parcel_in = [](std::string_view text) {
    return mformer::read_parcel([&text](std::span<char> piece) {
      const std::size_t count = std::min({piece.size(), text.size(), std::size_t{1000}});
      text.copy(piece.data(), count);
      text.remove_prefix(count);
      return count;
    });
  };
  const auto text_of = [](const Parcel& parcel) {
    std::string text;
    write_parcel(parcel, [&text](std::string_view piece) { text += piece; });
    return text;
  };
  const std::string written = text_of(parcel_in(input));
  const Parcel again = must_succeed("what was written is read", [&] { return parcel_in(written); });
  must(text_of(again) == written, "a parcel is read as it was written");
}

}  // namespace mformer::fuzz
