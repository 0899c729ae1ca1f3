#include "core/transfer/bundle.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <set>

#include "core/transfer/parcel_json.h"
#include "core/transfer/wire.h"
#include "modules_registry/error.h"
#include "modules_registry/file_sink.h"
#include "modules_registry/suggest.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::string_view kMagic = "mformer bundle 1\n";
constexpr std::size_t kPiece = std::size_t{1} << 20;

std::vector<std::string> all_or(Source& source, const std::vector<std::string>& models) {
  return models.empty() ? source.models() : models;
}

struct Contents {
  json models = json::array();
  std::set<std::string> objects;
  BundleSize size;
};

Contents contents_of(Source& source, const std::vector<std::string>& models) {
  Contents contents;
  std::set<std::string> versions;
  for (const std::string& name : all_or(source, models)) {
    const Offer offer = source.offer(name);
    std::vector<std::string> fresh;  // each version once, with the first model that has it
    for (const std::string& version : offer.versions) {
      if (versions.insert(version).second) fresh.push_back(version);
    }
    const Parcel parcel = source.parcel(offer, fresh);
    for (const auto& [hash, bytes] : parcel.sizes) {
      if (contents.objects.insert(hash).second) contents.size.bytes += bytes;
    }
    contents.models.push_back({{"offer", to_json(offer)}, {"parcel", to_json(parcel)}});
    ++contents.size.models;
  }
  contents.size.versions = static_cast<std::int64_t>(versions.size());
  contents.size.objects = static_cast<std::int64_t>(contents.objects.size());
  return contents;
}

[[noreturn]] void fail_bundle(const fs::path& file, const std::string& what) {
  throw Error("'" + file.string() + "' is no whole bundle: " + what,
              "make it again with mformer bundle, or copy it again; nothing was taken over");
}

/// The same, if it is a file: to open a pipe would wait for whoever writes it.
const fs::path& regular(const fs::path& file) {
  std::error_code error;
  if (fs::is_regular_file(file, error)) return file;
  throw Error("can't read '" + file.string() + "'", "name a bundle, or the folder of a workspace");
}

/// Reads a bundle from its beginning to its end, and sums all up.
class Scan {
 public:
  Scan(const fs::path& file, const Watcher& watcher)
      : file_(file), watcher_(watcher), in_(regular(file), std::ios::binary) {
    std::error_code error;
    total_ = static_cast<std::int64_t>(fs::file_size(file, error));
    if (error || !in_) {
      throw Error("can't read '" + file.string() + "'", "name a bundle, or the folder of a workspace");
    }
  }

  std::int64_t at() const { return at_; }
  [[noreturn]] void fail(const std::string& what) const { fail_bundle(file_, what); }

  std::string line() {
    std::string text;
    while (text.size() < 128) {
      char next = 0;
      if (!in_.get(next)) fail("it is cut off");
      ++at_;
      text += next;
      if (next == '\n') break;
    }
    if (text.empty() || text.back() != '\n') fail("it has a line that is too long");
    return text;
  }
  void add(std::string_view text) { sum_.update(as_bytes(text)); }

  /// What some() gives from now on: so many bytes.
  void begin(std::int64_t size) {
    if (size > total_ - at_) fail("it is cut off");
    left_ = size;
  }
  /// As many of those as fit, or 0 at their end.
  std::size_t some(std::span<std::byte> piece) {
    const auto count = static_cast<std::size_t>(std::min<std::int64_t>(left_, static_cast<std::int64_t>(piece.size())));
    if (count == 0) return 0;
    if (!in_.read(reinterpret_cast<char*>(piece.data()), static_cast<std::streamsize>(count))) fail("it is cut off");
    sum_.update(piece.first(count));
    at_ += static_cast<std::int64_t>(count);
    left_ -= static_cast<std::int64_t>(count);
    if (watcher_.stops()) throw StoppedError("reading the bundle was stopped", "");
    watcher_.tell("check the bundle", at_, total_);
    return count;
  }
  void pass_over() {
    std::vector<std::byte> piece(kPiece);
    while (some(piece) > 0) continue;
  }
  void bytes(std::int64_t size, const std::function<void(Bytes)>& take) {
    std::vector<std::byte> piece(kPiece);
    begin(size);
    while (const std::size_t count = some(piece)) take(Bytes(piece).first(count));
  }

  void end(const std::string& line) {
    if (line != "end " + sum_.finish_hex() + '\n') fail("its checksum is another, so bytes of it changed");
    if (at_ != total_) fail("something follows its end");
  }

  std::int64_t number(std::string_view digits) const {
    std::int64_t value = -1;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size() || value < 0)
      fail("a size in it is none");
    return value;
  }

 private:
  const fs::path& file_;
  const Watcher& watcher_;
  std::ifstream in_;
  std::int64_t at_ = 0, total_ = 0, left_ = 0;
  Sha256 sum_;
};

}  // namespace

BundleSize bundle_size(Source& source, const std::vector<std::string>& models) {
  return contents_of(source, models).size;
}

std::int64_t write_bundle(Source& source, const std::vector<std::string>& models, const fs::path& file,
                          const Watcher& watcher) {
  std::error_code error;
  if (fs::exists(fs::symlink_status(file, error))) {
    throw Error("'" + file.string() + "' exists already", "name another file, or remove that one");
  }
  const Contents contents = contents_of(source, models);
  std::int64_t size = 0, done = 0;
  write_file_atomically(file, [&](const ByteSink& sink) {
    Sha256 sum;
    const auto write = [&](Bytes bytes) {
      sum.update(bytes);
      sink(bytes);
      size += static_cast<std::int64_t>(bytes.size());
    };
    const auto write_text = [&](const std::string& text) { write(as_bytes(text)); };
    const std::string index = json{{"models", contents.models}}.dump(-1, ' ', false, json::error_handler_t::replace);
    write_text(std::string(kMagic) + "text " + std::to_string(index.size()) + '\n');
    write_text(index);
    source.objects({contents.objects.begin(), contents.objects.end()}, [&](const std::string& hash, std::int64_t bytes,
                                                                           const ObjectStore::Reader& read) {
      write_text("object " + hash + ' ' + std::to_string(bytes) + '\n');
      std::vector<std::byte> piece(kPiece);
      Sha256 own;
      for (std::int64_t left = bytes; left > 0;) {
        if (watcher.should_stop && watcher.should_stop()) {
          throw StoppedError("writing the bundle was stopped; there is none", "");
        }
        const auto wanted = std::min<std::int64_t>(left, static_cast<std::int64_t>(kPiece));
        const std::size_t count = read(std::span(piece).first(static_cast<std::size_t>(wanted)));
        if (count == 0) throw Error("object " + hash + " is cut off", "mformer fsck tells what is wrong");
        own.update(Bytes(piece).first(count));
        write(Bytes(piece).first(count));
        left -= static_cast<std::int64_t>(count);
      }
      if (own.finish_hex() != hash) {
        throw Error("object " + hash + " is damaged, so no bundle was made", "mformer fsck tells what is wrong");
      }
      watcher.tell("objects", ++done, contents.size.objects);
    });
    write_text("end " + sum.finish_hex() + '\n');
  });
  return size;
}

BundleSource::BundleSource(fs::path file, const Watcher& watcher) : file_(std::move(file)) {
  Scan scan(file_, watcher);
  if (std::string line = scan.line(); line != kMagic) scan.fail("it does not begin as one");
  scan.add(kMagic);
  std::string line = scan.line();
  if (!line.starts_with("text ")) scan.fail("it has no index");
  scan.add(line);
  const std::int64_t length = scan.number(std::string_view(line).substr(5, line.size() - 6));
  scan.begin(length);
  models_ = read_bundle_index([&](std::span<char> piece) { return scan.some(std::as_writable_bytes(piece)); });
  scan.pass_over();
  for (line = scan.line(); line.starts_with("object "); line = scan.line()) {
    scan.add(line);
    if (line.size() < 74 || !is_object_hash(line.substr(7, 64)) || line[71] != ' ')
      scan.fail("an object in it has no hash");
    const std::string hash = line.substr(7, 64);
    const Place place{scan.at(), scan.number(std::string_view(line).substr(72, line.size() - 73))};
    Sha256 sum;
    scan.bytes(place.size, [&](Bytes bytes) { sum.update(bytes); });
    if (sum.finish_hex() != hash) scan.fail("object " + hash + " has another hash");
    places_[hash] = place;
  }
  scan.end(line);
  for (const BundledModel& known : models_) {
    for (const std::string& hash : objects_of(known.parcel)) {
      if (!places_.contains(hash)) scan.fail("object " + hash + " is missing");
    }
  }
}

std::vector<std::string> BundleSource::models() {
  std::vector<std::string> names;
  for (const BundledModel& known : models_) names.push_back(known.offer.model);
  return names;
}

const BundledModel& BundleSource::model(const std::string& name) const {
  std::vector<std::string> names;
  for (const BundledModel& known : models_) {
    if (known.offer.model == name) return known;
    names.push_back(known.offer.model);
  }
  throw UsageError("the bundle has no model '" + name + "'",
                   suggestion_hint(name, names, "models", "it has none at all"));
}

Offer BundleSource::offer(const std::string& name) {
  return model(name).offer;
}

/// A version comes with the first model that has it, so that what is wanted is looked for in all.
Parcel BundleSource::parcel(const Offer& offer, const std::vector<std::string>& want) {
  const std::set<std::string> wanted(want.begin(), want.end());
  Parcel parcel{offer.model, offer.current, {}, {}, {}, {}, {}, {}};
  std::map<std::string, const ParcelVersion*> versions;
  for (const BundledModel& known : models_) {
    for (const ParcelVersion& version : known.parcel.versions) versions.emplace(version.version.hash, &version);
    const Parcel& from = known.parcel;
    parcel.operations.insert(parcel.operations.end(), from.operations.begin(), from.operations.end());
    parcel.modules.insert(parcel.modules.end(), from.modules.begin(), from.modules.end());
    for (const ParcelScore& arrived : from.scores) {
      if (wanted.contains(arrived.score.version)) parcel.scores.push_back(arrived);
    }
    for (const ParcelStats& stats : from.stats) {
      if (wanted.contains(stats.version)) parcel.stats.push_back(stats);
    }
  }
  for (const std::string& hash : want) {
    const auto found = versions.find(hash);
    if (found == versions.end()) fail_bundle(file_, "version " + hash + " is missing");
    parcel.versions.push_back(*found->second);
  }
  for (const std::string& hash : objects_of(parcel)) {
    if (const auto place = places_.find(hash); place != places_.end()) parcel.sizes[hash] = place->second.size;
  }
  return parcel;
}

void BundleSource::objects(const std::vector<std::string>& hashes, const TakeObject& take) {
  std::ifstream in(file_, std::ios::binary);
  for (const std::string& hash : hashes) {
    const auto place = places_.find(hash);
    if (place == places_.end()) fail_bundle(file_, "object " + hash + " is missing");
    in.clear();
    in.seekg(place->second.offset);
    std::int64_t left = place->second.size;
    take(hash, left, [&](std::span<std::byte> bytes) {
      const auto wanted = std::min<std::int64_t>(left, static_cast<std::int64_t>(bytes.size()));
      in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(wanted));
      left -= in.gcount();
      return static_cast<std::size_t>(in.gcount());
    });
  }
}

}  // namespace mformer
