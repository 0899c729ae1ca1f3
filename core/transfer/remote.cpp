#include "core/transfer/remote.h"

#include <algorithm>
#include <set>

#include "core/transfer/json_fields.h"
#include "core/transfer/parcel_json.h"

namespace mformer {
namespace {

using nlohmann::json;

constexpr int kProtocol = 2;

json ask(Wire& wire, json request) {
  request["protocol"] = kProtocol;
  wire.send(request);
  return wire.receive();
}

json ask(Wire& wire, json request, const Parcel& parcel) {
  request["protocol"] = kProtocol;
  wire.send(request);
  wire.send_parcel(parcel);
  return wire.receive();
}

const json& answer_of(const json& answer, const char* name) {
  if (answer.is_object() && answer.contains(name)) return answer[name];
  throw Error(std::string("the other end did not say '") + name + "'", "it may be another version of mformer");
}

std::string text_in(const json& answer, const char* name) {
  const json& value = answer_of(answer, name);
  return value.is_string() ? value.get<std::string>() : "";
}

/// One request. Texts of the other end are as hostile as any file.
class Answering {
 public:
  Answering(Wire& wire, const Served& served) : wire_(wire), served_(served) {}

  void answer(const json& request) {
    if (answer_of(request, "protocol") != kProtocol) {
      throw Error("the other end speaks another protocol than this program (" + std::to_string(kProtocol) + ")",
                  "install the same version of mformer at both ends");
    }
    const std::string what = text_in(request, "do");
    if (what == "models") return wire_.send({{"models", source().models()}});
    if (what == "offer") return wire_.send({{"offer", to_json(source().offer(text_in(request, "model")))}});
    if (what == "parcel") {
      return wire_.send_parcel(source().parcel(offer_of(answer_of(request, "offer")),
                                               hashes_of(answer_of(request, "want")), measurements_in(request)));
    }
    if (what == "objects") return send_objects(hashes_of(answer_of(request, "hashes")));
    if (what == "decide") {
      ServedTarget target(served_);
      const bool beside = answer_of(request, "beside") == true;
      return wire_.send({{"decision", to_json(target.decide(offer_of(answer_of(request, "offer")), beside))}});
    }
    if (what == "missing") {
      ServedTarget target(served_);
      return wire_.send({{"missing", target.missing(receive_parcel())}});
    }
    if (what == "receive") return receive(request);
    if (what == "measurements") {
      ServedTarget target(served_);
      return wire_.send({{"measurements", target.receive_measurements(receive_parcel())}});
    }
    if (what == "tag") return tag(request);
    throw Error("the other end asks for something that this program does not know",
                "install the same version of mformer at both ends");
  }

  /// Whether it failed where frames of a parcel or of objects go to or fro.
  bool is_amid_frames() const { return is_amid_frames_; }

 private:
  LocalSource source() const {
    const Registry* registry = served_.to_read();
    if (registry == nullptr) throw Error("there is no workspace", "name the folder of one");
    return LocalSource(*registry);
  }

  Parcel receive_parcel() {
    is_amid_frames_ = true;
    Parcel parcel = wire_.receive_parcel();
    is_amid_frames_ = false;
    return parcel;
  }

  void send_objects(const std::vector<std::string>& hashes) {
    is_amid_frames_ = true;
    source().objects(hashes, [&](const std::string& hash, std::int64_t size, const ObjectStore::Reader& read) {
      wire_.send_object(hash, size, read);
    });
    is_amid_frames_ = false;
  }

  void receive(const json& request) {
    is_amid_frames_ = true;
    ServedTarget target(served_);
    const Adopted adopted = target.receive(decision_of(answer_of(request, "decision")), wire_.receive_parcel(),
                                           [&](const std::vector<std::string>& missing, const TakeObject& take) {
                                             wire_.send({{"missing", missing}});
                                             wire_.receive_objects(missing, take);
                                           });
    const VersionRecord& current = adopted.current;
    wire_.send({{"model", current.model},
                {"number", current.number},
                {"hash", current.hash},
                {"removed", current.removed},
                {"measurements", adopted.measurements}});
    is_amid_frames_ = false;
  }

  void tag(const json& request) {
    const std::string name = fields::name_of(answer_of(request, "name"), "tag");
    const std::string there = ServedTarget(served_).tag(name, fields::hash_of(answer_of(request, "version")));
    wire_.send({{"tag", name}, {"there", there}});
  }

  Wire& wire_;
  const Served& served_;
  bool is_amid_frames_ = false;
};

}  // namespace

std::vector<std::string> RemoteSource::models() {
  const json answer = ask(wire_, {{"do", "models"}});
  const json& names = answer_of(answer, "models");
  std::vector<std::string> models;
  for (const json& name : names) {
    if (!name.is_string()) throw Error("the other end names a model without a text", kSameVersion);
    require_valid_name("model", name.get<std::string>());
    models.push_back(name);
  }
  return models;
}

Offer RemoteSource::offer(const std::string& model) {
  Offer offer = offer_of(answer_of(ask(wire_, {{"do", "offer"}, {"model", model}}), "offer"));
  if (offer.model != model) throw Error("the other end offered another model than it was asked for", kSameVersion);
  return offer;
}

Parcel RemoteSource::parcel(const Offer& offer, const std::vector<std::string>& want,
                            const std::vector<Measurements>& measured) {
  wire_.send({{"protocol", kProtocol},
              {"do", "parcel"},
              {"offer", to_json(offer)},
              {"want", want},
              {"measured", to_json(measured)}});
  Parcel parcel = wire_.receive_parcel();
  const std::set<std::string> wanted(want.begin(), want.end());
  for (const ParcelVersion& version : parcel.versions) {
    if (!wanted.contains(version.version.hash))
      throw Error("the other end sent a version that was not asked for", kSameVersion);
  }
  if (parcel.model != offer.model || parcel.current != offer.current) {
    throw Error("the model '" + offer.model + "' was moved at the other end meanwhile", "run the same again");
  }
  return parcel;
}

void RemoteSource::objects(const std::vector<std::string>& hashes, const TakeObject& take) {
  constexpr std::ptrdiff_t at_once = 100'000;
  for (auto begin = hashes.begin(); begin != hashes.end();) {
    const std::vector<std::string> some(begin, begin + std::min(at_once, hashes.end() - begin));
    wire_.send({{"protocol", kProtocol}, {"do", "objects"}, {"hashes", some}});
    wire_.receive_objects(some, take);
    begin += static_cast<std::ptrdiff_t>(some.size());
  }
}

Decision RemoteTarget::decide(const Offer& offer, bool may_keep_beside) {
  return decision_of(
      answer_of(ask(wire_, {{"do", "decide"}, {"offer", to_json(offer)}, {"beside", may_keep_beside}}), "decision"));
}

std::vector<std::string> RemoteTarget::missing(const Parcel& parcel) {
  return hashes_of(answer_of(ask(wire_, {{"do", "missing"}}, parcel), "missing"));
}

Adopted RemoteTarget::receive(const Decision& decision, const Parcel& parcel, const Deliver& deliver) {
  const json asked = ask(wire_, {{"do", "receive"}, {"decision", to_json(decision)}}, parcel);
  const std::vector<std::string> missing = hashes_of(answer_of(asked, "missing"));
  const std::set<std::string> own = objects_of(parcel);  // it gets nothing else, whatever it asks for
  for (const std::string& hash : missing) {
    if (!own.contains(hash)) throw Error("the other end asked for an object that is none of the model's", kSameVersion);
  }
  try {
    deliver(missing, [&](const std::string& hash, std::int64_t size, const ObjectStore::Reader& read) {
      wire_.send_object(hash, size, read);
    });
  } catch (const WireGone&) {
    wire_.receive();  // throws what it said before it went
    throw;
  }
  const json done = wire_.receive();
  Adopted adopted;
  VersionRecord& current = adopted.current;
  current.model = text_in(done, "model");
  current.hash = text_in(done, "hash");
  const json& number = answer_of(done, "number");
  current.number = number.is_number_integer() ? number.get<int>() : 0;
  current.removed = answer_of(done, "removed") == true;
  if (done.contains("measurements")) adopted.measurements = fields::count(done, "measurements");  // no older program's
  return adopted;
}

std::int64_t RemoteTarget::receive_measurements(const Parcel& parcel) {
  return fields::count(ask(wire_, {{"do", "measurements"}}, parcel), "measurements");
}

Decision ServedTarget::decide(const Offer& offer, bool may_keep_beside) {
  return LocalTarget(served_.to_read()).decide(offer, may_keep_beside);
}

std::vector<std::string> ServedTarget::missing(const Parcel& parcel) {
  return LocalTarget(served_.to_read()).missing(parcel);
}

Adopted ServedTarget::receive(const Decision& decision, const Parcel& parcel, const Deliver& deliver) {
  const Adopted adopted = LocalTarget(served_.to_write()).receive(decision, parcel, deliver);
  if (served_.received) served_.received();
  return adopted;
}

std::int64_t ServedTarget::receive_measurements(const Parcel& parcel) {
  return LocalTarget(served_.to_write()).receive_measurements(parcel);
}

std::string ServedTarget::tag(const std::string& name, const std::string& version) {
  return LocalTarget(served_.to_write()).tag(name, version);
}

std::string RemoteTarget::tag(const std::string& name, const std::string& version) {
  const json answer = ask(wire_, {{"do", "tag"}, {"name", name}, {"version", version}});
  answer_of(answer, "tag");
  return answer.contains("there") ? text_in(answer, "there") : "";  // an older program says nothing
}

void serve(Wire& wire, const Served& served) {
  Answering answering(wire, served);
  while (const auto request = wire.receive_or_end()) {
    try {
      answering.answer(*request);
    } catch (const WireGone&) {
      throw;
    } catch (const Error& error) {
      wire.send_error(error);
      if (answering.is_amid_frames()) return;  // what comes next would be the rest of an object
    }
  }
}

}  // namespace mformer
