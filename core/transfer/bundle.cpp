#include "core/transfer/bundle.h"

#include <algorithm>
#include <fstream>
#include <set>

#include "core/transfer/bundle_scan.h"
#include "core/transfer/measurements.h"
#include "core/transfer/parcel_json.h"
#include "core/transfer/wire.h"
#include "modules_registry/error.h"
#include "modules_registry/file_sink.h"
#include "modules_registry/suggest.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = std::size_t{1} << 20;

std::vector<std::string> all_or(Source& source, const std::vector<std::string>& models) {
  return models.empty() ? source.models() : models;
}

struct Contents {
  std::vector<BundledModel> models;
  std::set<std::string> objects;
  BundleSize size;
};

Contents contents_of(Source& source, const std::vector<std::string>& models) {
  Contents contents;
  std::set<std::string> versions;
  for (const std::string& name : all_or(source, models)) {
    Offer offer = source.offer(name);
    offer.measured.clear();          // what there is the parcels say
    std::vector<std::string> fresh;  // each version once, with the first model that has it
    for (const std::string& version : offer.versions) {
      if (versions.insert(version).second) fresh.push_back(version);
    }
    Parcel parcel = source.parcel(offer, fresh, {});
    for (const auto& [hash, bytes] : parcel.sizes) {
      if (contents.objects.insert(hash).second) contents.size.bytes += bytes;
    }
    contents.models.push_back({std::move(offer), std::move(parcel)});
    ++contents.size.models;
  }
  contents.size.versions = static_cast<std::int64_t>(versions.size());
  contents.size.objects = static_cast<std::int64_t>(contents.objects.size());
  return contents;
}

/// The same pieces each time.
void write_index(const std::vector<BundledModel>& models, const TextSink& sink) {
  sink("{\"models\":[");
  for (const char* before = ""; const BundledModel& known : models) {
    sink(before + std::string("{\"offer\":") + text_of_row(to_json(known.offer)) + ",\"parcel\":");
    write_parcel(known.parcel, sink);
    sink("}");
    before = ",";
  }
  sink("]}");
}

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
    std::size_t length = 0;
    write_index(contents.models, [&length](std::string_view piece) { length += piece.size(); });
    write_text(std::string(kBundleBegins) + "text " + std::to_string(length) + '\n');
    std::string waiting;
    write_index(contents.models, [&](std::string_view piece) {
      waiting += piece;
      if (waiting.size() < kPiece) return;
      write_text(waiting);
      waiting.clear();
    });
    write_text(waiting);
    source.objects({contents.objects.begin(), contents.objects.end()}, [&](const std::string& hash, std::int64_t bytes,
                                                                           const ObjectStore::Reader& read) {
      write_text("object " + hash + ' ' + std::to_string(bytes) + '\n');
      std::vector<std::byte> piece(kPiece);
      Sha256 own;
      for (std::int64_t left = bytes; left > 0;) {
        if (watcher.should_stop && watcher.should_stop()) {
          throw StoppedError("writing the bundle was stopped; there is none", "the same again begins anew");
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
  BundleScan scan(file_, watcher);
  if (std::string line = scan.line(); line != kBundleBegins) scan.fail("it does not begin as one");
  scan.add(kBundleBegins);
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
  Offer offer = model(name).offer;
  const std::set<std::string> versions(offer.versions.begin(), offer.versions.end());
  MeasurementMarks marks;
  for (const BundledModel& known : models_) {
    for (const auto& [score, by] : known.parcel.scores) {
      if (versions.contains(score.version)) marks.add(score.version, score.task, mark_of(score));
    }
    for (const ParcelStats& stats : known.parcel.stats) {
      if (versions.contains(stats.version)) marks.add(stats.version, stats.task_content, mark_of(stats.on));
    }
  }
  offer.measured = marks.list();
  return offer;
}

/// A version comes with the first model that has it, so that what is wanted is looked for in all.
Parcel BundleSource::parcel(const Offer& offer, const std::vector<std::string>& want,
                            const std::vector<Measurements>& measured) {
  const MeasurementMarks some(measured);
  const std::set<std::string> wanted(want.begin(), want.end());
  Parcel parcel{offer.model, offer.current, {}, {}, {}, {}, {}, {}};
  std::map<std::string, const ParcelVersion*> versions;
  for (const BundledModel& known : models_) {
    for (const ParcelVersion& version : known.parcel.versions) versions.emplace(version.version.hash, &version);
    const Parcel& from = known.parcel;
    parcel.operations.insert(parcel.operations.end(), from.operations.begin(), from.operations.end());
    parcel.modules.insert(parcel.modules.end(), from.modules.begin(), from.modules.end());
    for (const ParcelScore& arrived : from.scores) {
      const Score& score = arrived.score;
      if (wanted.contains(score.version) || some.has(score.version, score.task, mark_of(score))) {
        parcel.scores.push_back(arrived);
      }
    }
    for (const ParcelStats& stats : from.stats) {
      if (wanted.contains(stats.version) || some.has(stats.version, stats.task_content, mark_of(stats.on))) {
        parcel.stats.push_back(stats);
      }
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
