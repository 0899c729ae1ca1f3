#include "core/formats/state_dict_program.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>
#include <variant>

#include "core/formats/pickle_reader.h"
#include "core/formats/pickle_values.h"
#include "core/formats/quoted_name.h"

namespace mformer {
namespace {

using namespace pickle;

constexpr std::size_t kMostValues = 2'000'000;  // some 300 MB; a state dict makes about ten for each tensor
constexpr std::size_t kMostDimensions = 32;
constexpr std::size_t kMostSizes = 8'000'000;  // of all tensors together: a tensor of 32 dimensions is made by five bytes
constexpr std::size_t kLongestKey = 64;  // PyTorch counts its storages

// Follows the program. Values are kept in one list and refer to each other by number, so that nothing is ever
// recursive: neither deep nor circular values can hurt.
class Machine : public Reader {
 public:
  using Reader::Reader;

  // The dict that the program ends with.
  const Dict& run() {
    while (step(static_cast<unsigned char>(take(1)[0]))) {
    }
    if (stack_.size() != 1) refuse("its program ends halfway");
    const Dict* dict = std::get_if<Dict>(&values_[stack_[0]]);
    if (dict == nullptr) not_a_dict();
    return *dict;
  }

  const Value& value(Number number) const { return values_[number]; }

 private:
  [[noreturn]] void not_a_dict() const { refuse("it holds something other than a state dict"); }

  // False at the end.
  bool step(unsigned char opcode) {
    switch (opcode) {
      case STOP:
        return false;
      case MARK:
        marks_.push_back(stack_.size());
        if (marks_.size() > kMostValues) refuse("its program is too long");
        break;
      case PROTO:
      case GLOBAL:
      case REDUCE:
      case BUILD:
      case BINPERSID:
        call(opcode);
        break;
      case BINPUT:
      case LONG_BINPUT:
        keep(unsigned_number(opcode == BINPUT ? 1 : 4));
        break;
      case BINGET:
      case LONG_BINGET:
        get(unsigned_number(opcode == BINGET ? 1 : 4));
        break;
      case SETITEM:
        set_items(stack_.size() - std::min<std::size_t>(2, stack_.size()));
        break;
      case SETITEMS:
        set_items(pop_mark());
        break;
      default:
        push(constant(opcode));
    }
    return true;
  }

  void call(unsigned char opcode) {
    switch (opcode) {
      case PROTO:
        if (unsigned_number(1) != 2) refuse("it is in another pickle protocol than 2, which torch.save uses");
        break;
      case GLOBAL:
        push(named());
        break;
      case REDUCE:
        reduce();
        break;
      case BUILD:
        drop_attributes();
        break;
      default:
        push(storage(as<Tuple>(pop(), "a storage")));
    }
  }

  Value constant(unsigned char opcode) {
    switch (opcode) {
      case EMPTY_DICT:
        return Dict{};
      case EMPTY_TUPLE:
        return Tuple{};
      case TUPLE:
        return tuple(stack_.size() - pop_mark());
      case TUPLE1:
      case TUPLE2:
      case TUPLE3:
        return tuple(opcode - TUPLE1 + 1U);
      case BININT:
        return static_cast<std::int64_t>(static_cast<std::int32_t>(unsigned_number(4)));
      case BININT1:
        return static_cast<std::int64_t>(unsigned_number(1));
      case BININT2:
        return static_cast<std::int64_t>(unsigned_number(2));
      case LONG1:
        return long_number();
      case BINUNICODE:
        return take(unsigned_number(4));
      case NEWTRUE:
      case NEWFALSE:
        return opcode == NEWTRUE;
      default:
        refuse("it holds the pickle instruction " + std::to_string(opcode) +
               ", which a dict of tensors does not need (it would not be followed)");
    }
  }

  void push(Value value) {
    if (values_.size() >= kMostValues) refuse("its program is too long");
    values_.push_back(std::move(value));
    stack_.push_back(static_cast<Number>(values_.size() - 1));
  }

  void keep(std::uint32_t slot) {
    if (memo_.size() >= kMostValues) refuse("its program is too long");
    memo_[slot] = top();
  }

  void get(std::uint32_t slot) {
    const auto found = memo_.find(slot);
    if (found == memo_.end()) refuse("its program asks for what it did not keep");
    if (stack_.size() >= kMostValues) refuse("its program is too long");
    stack_.push_back(found->second);
  }

  // Values below the last mark can't be reached.
  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }

  Number top() const {
    if (stack_.size() <= floor()) refuse("its program asks for more than there is");
    return stack_.back();
  }

  Number pop() {
    const Number number = top();
    stack_.pop_back();
    return number;
  }

  std::size_t pop_mark() {
    if (marks_.empty()) refuse("its program asks for more than there is");
    const std::size_t mark = marks_.back();
    marks_.pop_back();
    return mark;
  }

  Value tuple(std::size_t count) {
    if (count > stack_.size() - floor()) refuse("its program asks for more than there is");
    const auto begin = stack_.end() - static_cast<std::ptrdiff_t>(count);
    Tuple items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    return items;
  }

  template <typename Type>
  const Type& as(Number number, const char* what) const {
    const Type* found = std::get_if<Type>(&values_[number]);
    if (found == nullptr) refuse(std::string("it describes ") + what + " in an unknown way");
    return *found;
  }

  // Keys and values from `begin` of the stack on go into the dict below them.
  void set_items(std::size_t begin) {
    if (begin <= floor() || (stack_.size() - begin) % 2 != 0) refuse("its program asks for more than there is");
    Dict* dict = std::get_if<Dict>(&values_[stack_[begin - 1]]);
    if (dict == nullptr) not_a_dict();
    for (std::size_t i = begin; i < stack_.size(); i += 2) dict->items.emplace_back(stack_[i], stack_[i + 1]);
    stack_.resize(begin);
  }

  // The names that mean something here. None of them is ever looked up or run.
  Value named() {
    const std::string_view module = line();
    const std::string_view name = line();
    if (module == "collections" && name == "OrderedDict") return Callable::ordered_dict;
    if (module == "torch._utils" && name == "_rebuild_tensor_v2") return Callable::rebuild_tensor;
    if (module == "torch._utils" && name == "_rebuild_parameter") return Callable::rebuild_parameter;
    if (module == "torch") {
      if (const auto dtype = storage_dtype(name)) return *dtype;
    }
    refuse("it asks for " + quoted_name(std::string(module) + "." + std::string(name)) + ", which was not run");
  }

  void reduce() {
    const auto& arguments = as<Tuple>(pop(), "a call");
    switch (as<Callable>(pop(), "a call")) {
      case Callable::ordered_dict:
        if (!arguments.empty()) refuse("it describes an OrderedDict in an unknown way");
        return push(Dict{});
      case Callable::rebuild_tensor:
        return push(tensor(arguments));
      default:
        if (arguments.size() != 3) refuse("it describes a parameter in an unknown way");
        as<bool>(arguments[1], "a parameter");
        require_no_hooks(arguments[2]);
        count_sizes(2 * as<Tensor>(arguments[0], "a parameter").shape.size());
        return push(as<Tensor>(arguments[0], "a parameter"));
    }
  }

  void require_no_hooks(Number number) const {
    if (!as<Dict>(number, "a tensor's hooks").items.empty()) refuse("it describes a tensor with hooks");
  }

  std::vector<std::int64_t> numbers(Number number) {
    std::vector<std::int64_t> list;
    const auto& items = as<Tuple>(number, "a shape");
    if (items.size() > kMostDimensions) refuse("it describes a tensor of more than 32 dimensions");
    count_sizes(items.size());
    list.reserve(items.size());
    for (const Number item : items) list.push_back(as<std::int64_t>(item, "a shape"));
    return list;
  }

  void count_sizes(std::size_t more) {
    sizes_ += more;
    if (sizes_ > kMostSizes) refuse("its program is too long");
  }

  Tensor tensor(const Tuple& arguments) {
    if (arguments.size() != 6) refuse("it describes a tensor in an unknown way");
    as<bool>(arguments[4], "a tensor");
    require_no_hooks(arguments[5]);
    return {as<Storage>(arguments[0], "a tensor"), as<std::int64_t>(arguments[1], "a tensor"), numbers(arguments[2]),
            numbers(arguments[3])};
  }

  Storage storage(const Tuple& parts) const {
    const char* what = "a storage";
    if (parts.size() != 5 || as<std::string_view>(parts[0], what) != "storage" ||
        as<std::string_view>(parts[2], what).size() > kLongestKey) {
      refuse("it describes a storage in an unknown way");
    }
    as<std::string_view>(parts[3], what);  // the device it was on
    return {as<DType>(parts[1], what), as<std::string_view>(parts[2], what), as<std::int64_t>(parts[4], what)};
  }

  // state_dict() keeps the versions of its parts in an attribute of the dict, which no one needs here.
  void drop_attributes() {
    const auto& attributes = as<Dict>(pop(), "attributes");
    as<Dict>(top(), "attributes");
    for (const auto& [key, value] : attributes.items) {
      if (as<std::string_view>(key, "attributes") != "_metadata") refuse("it describes attributes in an unknown way");
    }
  }

  std::vector<Value> values_;
  std::vector<Number> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint32_t, Number> memo_;
  std::size_t sizes_ = 0;  ///< Numbers in shapes and strides so far.
};

}  // namespace

std::vector<PickledTensor> read_state_dict_program(std::string_view program, const std::string& source) {
  Machine machine(program, source);
  std::vector<PickledTensor> tensors;
  std::set<std::string_view> names;
  for (const auto& [key, value] : machine.run().items) {
    const auto* name = std::get_if<std::string_view>(&machine.value(key));
    if (name == nullptr) machine.refuse("it holds a key that is no name");
    const auto* found = std::get_if<Tensor>(&machine.value(value));
    if (found == nullptr) machine.refuse("it holds something other than named tensors: " + quoted_name(*name));
    if (!names.insert(*name).second) machine.refuse(quoted_name(*name) + " is in it twice");
    const Storage& storage = found->storage;
    tensors.push_back({{std::string(*name), storage.dtype, found->shape},
                       std::string(storage.key),
                       storage.elements,
                       found->offset,
                       found->strides});
  }
  return tensors;
}

}  // namespace mformer
