#include "core/workflows/tune.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "core/model/distillation.h"
#include "core/model/losses.h"
#include "core/model/placement.h"
#include "core/training/training_copy.h"
#include "core/workflows/hypothesis.h"

namespace mformer {
namespace {

using ExtraLoss = std::function<at::Tensor(const ForwardOutput&, const Batch&)>;

ExtraLoss concentration(const TuneLoss& loss, std::int64_t steps) {
  return [loss, steps](const ForwardOutput& output, const Batch& batch) {
    const double share = loss.concentration_at(batch.step, steps);
    return batch.share *
           concentration_loss(output.routing, share * loss.sharpen, share * loss.concentrate, batch.whole);
  };
}

/// The teacher where the student is. As nothing of it is trained, bfloat16 is all that a device need hold of it.
Model teacher_on(at::Device device, Model teacher, bool bfloat16) {
  if (bfloat16 && !device.is_cpu()) make_matrices_bfloat16(teacher);
  return on_device(teacher, device);
}

/// The teacher sees the same tokens, without dropout. Its weights stay, so they are packed for their products once.
ExtraLoss distillation(const TuneLoss& loss, const Model& student, const Model& teacher, bool bfloat16) {
  ForwardOptions how;
  how.bfloat16 = bfloat16;
  how.frozen_panels = c10::make_intrusive<kernels::FrozenPanels>();
  return [loss, how, &student, teacher](const ForwardOutput& output, const Batch& batch) {
    at::Tensor hidden;
    {
      const at::NoGradGuard no_grad;
      hidden = forward(teacher, batch.inputs, how).hidden;
    }
    return loss.distill *
           distillation_loss(student, output.hidden, teacher, hidden, batch.targets, loss.temperature, batch.counted);
  };
}

ExtraLoss sum_of(std::vector<ExtraLoss> terms) {
  if (terms.empty()) return {};
  return [terms = std::move(terms)](const ForwardOutput& output, const Batch& batch) {
    at::Tensor total = terms[0](output, batch);
    for (std::size_t i = 1; i < terms.size(); ++i) total = total + terms[i](output, batch);
    return total;
  };
}

}  // namespace

double TuneLoss::concentration_at(std::int64_t step, std::int64_t steps) const {
  const double growing = concentrate_warmup * static_cast<double>(steps);
  return growing < 1.0 ? 1.0 : std::min(1.0, static_cast<double>(step + 1) / growing);
}

Teacher load_teacher(const Session& session, const LoadedVersion& base, const TaskData& task, const TuneLoss& loss) {
  if (loss.distill == 0) return {};
  if (loss.teacher.empty()) return {std::make_shared<const Model>(base.model), base.record.hash};
  const LoadedVersion teacher = load_version(session.registry, session.registry.resolve(loss.teacher));
  if (teacher.manifest.tokenizer_object != base.manifest.tokenizer_object) {
    throw Error("the teacher " + to_string(teacher.record) + " has another tokenizer than " + to_string(base.record),
                "a teacher must see the same tokens: name a version of the same family");
  }
  const HypothesisChoice choice = choose_hypothesis(session, teacher, task, "");
  if (choice.by_posterior()) {
    session.watcher.say("of the teacher " + to_string(teacher.record) + " '" + choice.name + "' reads task " +
                        choice.task + ": learning from it");
  }
  return {std::make_shared<const Model>(hypothesis_of(teacher, choice.name).model), teacher.record.hash};
}

TrainResult tune(Session& session, const LoadedVersion& base, const TrainCommand& command, const Tuning& tuning,
                 const std::filesystem::path& folder) {
  const TrainOptions& options = command.options;
  const std::int64_t context = context_of(session, options, base.model);
  TrainTask training;
  TrainingCopy copy(tuning.model, session.device, options.bfloat16, tuning.filter);
  training.model = &copy.model();
  training.parameters = make_trainable(copy.model(), tuning.filter);
  training.batches = shuffled_batches(training_windows(tuning.task, context), options.seed, options.batch_size);
  training.balance = tuning.balance;
  if (tuning.resumed) training.resumed = [&](std::int64_t steps) { tuning.resumed(copy.model(), steps); };
  if (tuning.before_step) training.before_step = [&](std::int64_t step) { tuning.before_step(copy.model(), step); };
  std::vector<ExtraLoss> terms;
  if (tuning.loss.concentrate > 0 || tuning.loss.sharpen > 0) {
    terms.push_back(concentration(tuning.loss, options.steps));
  }
  if (tuning.teacher.model != nullptr) {
    terms.push_back(distillation(tuning.loss, copy.model(),
                                 teacher_on(session.device, *tuning.teacher.model, options.bfloat16),
                                 options.bfloat16));
  }
  training.extra_loss = sum_of(std::move(terms));
  training.group = session.group;
  training.run_folder = folder;
  const TrainResult result =
      train(training, options,
            hooks_for(session, tuning.stage, options,
                      validation_of(session, copy.model(), tuning.task, context, command.eval_tokens)));
  copy.bring_back();
  make_untrainable(tuning.model);
  return result;
}

RunFolder tuning_folder(const Session& session, const LoadedVersion& base, const TrainCommand& command,
                        const Tuning& tuning) {
  const std::string trained = names_of(make_trainable(tuning.model, tuning.filter));
  return {
      session, {base.record.hash, content_of(tuning.task), tuning.teacher.version + " " + trained}, command.restart};
}

}  // namespace mformer
