#include "core/checkpoint/hub_parameters.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <optional>

#include "core/checkpoint/gguf_elements.h"
#include "core/checkpoint/hub_domains.h"
#include "core/checkpoint/parameter_layout.h"
#include "core/checkpoint/tensor_io.h"
#include "core/families/gguf_model.h"
#include "core/model/outline.h"
#include "kernels/matrix_copy.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

at::Tensor read_tensor(const HubFolder& folder, const std::string& name) {
  if (const HubFolder::StoredGguf stored = folder.find_gguf(name); stored.tensor != nullptr) {
    return gguf_elements(stored, gguf_interleaved_rows(folder.config(), name), 0, stored.tensor->shape);
  }
  const HubFolder::StoredPickle pickled = folder.find_pickled(name);
  return pickled.tensor != nullptr ? to_tensor(*pickled.file, *pickled.tensor) : to_tensor(folder.get(name));
}

/// `shape` of the tensor's elements from number `first` on, in the order of its rows. Nothing where they do not lie so.
std::optional<at::Tensor> read_elements(const HubFolder& folder, const std::string& name, std::int64_t first,
                                        const std::vector<std::int64_t>& shape) {
  if (const HubFolder::StoredGguf stored = folder.find_gguf(name); stored.tensor != nullptr) {
    return gguf_elements(stored, gguf_interleaved_rows(folder.config(), name), first, shape);
  }
  const HubFolder::StoredPickle pickled = folder.find_pickled(name);
  if (pickled.tensor != nullptr && !is_contiguous(*pickled.tensor)) return std::nullopt;
  at::Tensor tensor = at::empty(shape, scalar_type(folder.info(name)->dtype));
  const std::span<std::byte> to(static_cast<std::byte*>(tensor.mutable_data_ptr()), tensor.nbytes());
  if (to.empty()) return tensor;
  if (pickled.tensor != nullptr) {
    pickled.file->read(*pickled.tensor, pickled.tensor->offset + first, to);
  } else {
    folder.get(name).read(static_cast<std::size_t>(first) * tensor.element_size(), to);
  }
  return tensor;
}

/// Where embedding and head are one, two stored tensors that differ leave open which is meant.
void require_equal_when_tied(const HubFolder& folder) {
  const std::string embedding(folder.layout().embedding), head(folder.layout().head);
  const auto& names = folder.tensor_names();
  const auto is_stored = [&](const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (!folder.config().tie_word_embeddings || !is_stored(embedding) || !is_stored(head)) return;
  const at::Tensor one = read_tensor(folder, embedding), other = read_tensor(folder, head);
  if (one.sizes() == other.sizes() && one.eq(other).logical_or(one.ne(one)).all().item<bool>()) return;
  throw Error(folder.path().string() + ": '" + embedding + "' and '" + head +
                  "' differ, though config.json says that they are one",
              "if the head is its own, write \"tie_word_embeddings\": false in config.json; else take the one that is "
              "not meant out of the weights");
}

void require_readable(const HubFolder& folder) {
  if (!folder.files().pickles.empty() && folder.config().is_quantized()) {
    throw Error(folder.path().string() + ": quantised matrices in pickled weights",
                "they are read from safetensors only");
  }
  check_parameters(folder);
  require_equal_when_tied(folder);
}

/// The widest of the stored tensors; int8 codes and their scales do not count.
at::ScalarType widest_dtype(const HubFolder& folder, const std::vector<StoredTensor>& stored) {
  std::optional<at::ScalarType> widest;
  for (const StoredTensor& tensor : stored) {
    if (tensor.type != StoredTensor::Type::floating) continue;
    const at::ScalarType one = scalar_type(folder.info(tensor.name)->dtype);
    widest = widest.has_value() ? c10::promoteTypes(*widest, one) : one;
  }
  return widest.value_or(at::kFloat);
}

/// Of GGUF files: norms and routers are float32 there, whatever the model was. They do not count where their numbers
/// are the same in the type of the others.
at::ScalarType gguf_dtype(const HubFolder& folder, const std::vector<StoredTensor>& stored) {
  const auto is_float = [&](const StoredTensor& tensor) {
    return folder.find_gguf(tensor.name).tensor->type == GgufType::F32;
  };
  std::vector<StoredTensor> others;
  std::ranges::copy_if(stored, std::back_inserter(others), [&](const auto& tensor) { return !is_float(tensor); });
  const at::ScalarType type = widest_dtype(folder, others);
  if (type == at::kFloat) return type;
  const bool exact = std::ranges::all_of(stored, [&](const StoredTensor& tensor) {
    if (!is_float(tensor)) return true;
    const at::Tensor values = read_tensor(folder, tensor.name);
    return values.to(type).to(at::kFloat).eq(values).logical_or(values.ne(values)).all().item<bool>();
  });
  return exact ? type : at::kFloat;
}

}  // namespace

HubParameters::HubParameters(const HubFolder& folder) : folder_(folder) {
  require_readable(folder);
  stored_ = folder.layout().tensors(folder.config());
  const at::ScalarType type = folder.gguf() == nullptr ? widest_dtype(folder, stored_) : gguf_dtype(folder, stored_);
  outline_ = outline_model(folder.config(), type);
  for (const StoredTensor& stored : stored_) {
    for (const Piece& piece : stored.pieces) sources_[piece.parameter].push_back({&stored, &piece});
  }
  for_each_parameter(outline_, [&](const ParameterRef& ref) { shapes_[ref.name] = *ref.tensor; });
  read_domains(outline_, folder);
}

at::Tensor HubParameters::kept_part(const Source& source) {
  Kept& kept = kept_[source.stored];
  if (!kept.whole.defined()) kept = {read_tensor(folder_, source.stored->name), source.stored->pieces.size()};
  const at::Tensor part = stored_part(kept.whole, *source.piece);
  if (--kept.unread == 0) kept_.erase(source.stored);
  return part;
}

at::Tensor HubParameters::part(const Source& source) {
  Piece piece = *source.piece;
  std::vector<std::int64_t> shape = source.stored->shape;
  if (piece.index >= 0) shape.erase(shape.begin());
  std::int64_t row = 1, matrix = 1;
  for (std::size_t i = 1; i < shape.size(); ++i) row *= shape[i];
  for (const std::int64_t size : shape) matrix *= size;
  if (shape.size() > 1 && piece.columns.count >= 0) return kept_part(source);
  std::int64_t first = std::max<std::int64_t>(piece.index, 0) * matrix;
  if (piece.rows.count >= 0 && !shape.empty()) {
    first += piece.rows.first * row;
    shape.front() = piece.rows.count;
  }
  const std::optional<at::Tensor> read = read_elements(folder_, source.stored->name, first, shape);
  if (!read) return kept_part(source);
  piece.index = -1;
  piece.rows = {};
  return stored_part(*read, piece);
}

at::Tensor HubParameters::operator()(const std::string& name) {
  const auto sources = sources_.find(name);
  if (sources == sources_.end()) return {};
  const at::Tensor& wanted = shapes_.at(name);
  if (sources->second.size() == 1) {
    const at::Tensor only = part(sources->second.front());
    // A part of what is kept must not keep the rest of it.
    if (only.sizes() == wanted.sizes()) {
      const at::Tensor own = kernels::contiguous_as(only, wanted.scalar_type());
      return own.storage().nbytes() == own.nbytes() ? own : own.clone();
    }
  }
  at::Tensor parameter = at::empty(wanted.sizes(), wanted.scalar_type());
  for (const Source& source : sources->second) {
    const at::Tensor part = this->part(source);
    kernels::copy_matrix(own_part(parameter, *source.piece, part.size(-1)), part.to(wanted.scalar_type()));
  }
  return parameter;
}

}  // namespace mformer
