#include "actors/trainer.hpp"

#include <utility>

#include "actors/crash_report.hpp"

namespace fl {

TrainerState::~TrainerState() {
  if (current) options.pool->cancel(current->job);
}

Result<Ready> TrainerState::prepare(const Welcome& terms) {
  auto loaded = options.prepare(terms);
  if (!loaded) return tl::unexpected(loaded.error());
  if (terms.layout_fingerprint != 0 && loaded->trainer->layout()->fingerprint() != terms.layout_fingerprint)
    return fail(ec::layout_mismatch,
                "the server's model \"" + terms.model_name +
                    "\" has other parameters than this client's; both need the same release and "
                    "the same kind of data");
  welcome = terms;
  means = std::move(*loaded);
  in_use = *means;
  standardisation.clear();
  return ready_of(*means);
}

caf::typed_response_promise<TrainedUpdatePtr> TrainerState::train(const Task& task, const ParametersPtr& base,
                                                                  const ResidualPtr& residual) {
  if (current) cancel({ec::cancelled, "another task came"});
  auto promise = self->make_response_promise<TrainedUpdatePtr>();
  options.chaos->strike_next(options.id, "task");
  if (!means) {
    promise.deliver(to_caf({ec::unavailable, "the trainer is not prepared"}));
    return promise;
  }
  auto terms = TrainingTerms{welcome.seed, welcome.update_content == "model"};
  terms.stop_after = Seconds(task.stop_after_seconds / options.speed);
  if (task.standardisation != standardisation) {
    in_use = means->standardised(task.standardisation);
    standardisation = task.standardisation;
  }
  auto run = TrainingRun::begin(in_use, task, base, residual, terms);
  if (!run) {
    promise.deliver(to_caf(run.error()));
    return promise;
  }
  current = Current{task, std::move(*run), 0, self->clock().now(), promise};
  current->job = options.pool->submit(
      current->run, [handle = caf::actor_cast<trainer_actor>(self), id = task.id](std::exception_ptr error) {
        caf::anon_send(handle, caf::tick_atom_v, id, text_of(error));
      });
  return promise;
}

void TrainerState::on_job_end(TaskId task, const std::string& error) {
  if (!current || current->task.id != task) return;
  if (!error.empty()) {
    current->promise.deliver(to_caf({ec::internal, "training failed: " + error}));
    current.reset();
    return;
  }
  const auto& result = current->run->result();
  if (!result) {
    current->promise.deliver(to_caf(result.error()));
    current.reset();
    return;
  }
  const auto wanted = Seconds(options.speed * (*result)->info.train_seconds);
  const auto passed = Seconds(self->clock().now() - current->begun);
  const auto rest = std::chrono::duration_cast<std::chrono::microseconds>(wanted - passed);
  if (rest.count() > 0)
    self->delayed_send(self, rest, caf::ok_atom_v, task);
  else
    finish(task);
}

void TrainerState::finish(TaskId task) {
  if (!current || current->task.id != task) return;
  auto done = std::exchange(current, std::nullopt);
  done->promise.deliver(*done->run->result());
}

void TrainerState::cancel(const Error& error) {
  if (!current) return;
  options.pool->cancel(current->job);
  auto cancelled = std::exchange(current, std::nullopt);
  cancelled->promise.deliver(to_caf(error));
}

trainer_actor::behavior_type trainer(trainer_actor::stateful_pointer<TrainerState> self,
                                     TrainerActorOptions options) {
  self->state.options = std::move(options);
  end_with_reason_on_exception(self);
  return {
      [self](prepare_atom, const Welcome& welcome) -> caf::result<Ready> {
        auto ready = self->state.prepare(welcome);
        if (!ready) return to_caf(ready.error());
        return *ready;
      },
      [self](train_atom, const Task& task, const ParametersPtr& base, const ResidualPtr& residual) {
        return self->state.train(task, base, residual);
      },
      [self](cancel_atom, TaskId task) {
        if (self->state.current && self->state.current->task.id == task)
          self->state.cancel({ec::cancelled, "the task was cancelled"});
      },
      [self](caf::tick_atom, TaskId task, const std::string& error) { self->state.on_job_end(task, error); },
      [self](caf::ok_atom, TaskId task) { self->state.finish(task); },
  };
}

}  // namespace fl
