// The sentences of `kvplace advise` against the figures that they are of: there if and only if their condition holds.
#include <gtest/gtest.h>

#include <string>

#include "advise_sentences.h"
#include "advise_text.h"
#include "support/paper_machine.h"
#include "support/sides.h"

namespace kvplace {
namespace {

using testing::Sides;

Speed speed_of(std::uint32_t batch, double step_s) { return {batch / step_s, step_s, "lru"}; }

/// A deployment in which 4 requests fit near and 16 with far memory.
Advice some_advice() {
  Advice advice;
  advice.spec.hardware = testing::paper_machine();
  advice.spec.model.emplace();
  advice.spec.model->name = "some-model";
  advice.spec.options.batch = 4;
  advice.context = 65536;
  advice.output = 1024;
  advice.workload = "dsa";
  advice.layers = 61;
  advice.trace_layers = 16;
  advice.requests_all_near = 4;
  advice.requests_tiered = 16;
  advice.least_buffer_blocks = 2048;
  advice.most_all_near = speed_of(4, 0.010);
  for (const std::uint32_t batch : {2u, 4u, 8u}) {
    AdvicePoint point;
    point.batch = batch;
    point.buffer_blocks = 4096;
    if (batch <= 4) {
      point.all_near = speed_of(batch, 0.010);
    }
    point.engine = speed_of(batch, 0.010);
    point.best = speed_of(batch, 0.010);
    advice.points.push_back(point);
  }
  return advice;
}

TEST(AdviseSentences, WhatFits) {
  Sides sides;
  for (const FarHolds far : {FarHolds::kKv, FarHolds::kExperts, FarHolds::kWeights, FarHolds::kNothing}) {
    Advice advice = some_advice();
    advice.fit = far;
    advice.points[1].experts_near = 0.25;
    const std::string text = cli::fit_sentence(advice);
    sides.expect(text, "fits      not 4 requests; all KV near: 4 requests, with far memory: 16 requests",
                 far == FarHolds::kNothing);
    sides.expect(text, "25.0 % of the routed experts are, with all KV; 16 requests at most", far == FarHolds::kExperts);
    sides.expect(text, "some are read from far in each step, and KV; 16 requests at most", far == FarHolds::kWeights);
    sides.expect(text, "all KV near: 4 requests; with KV in far memory: 16 requests, at 2,048 tokens near of each",
                 far == FarHolds::kKv);
  }
  sides.both();
}

TEST(AdviseSentences, WhatWasRead) {
  Sides sides;
  for (const std::string workload : {"dsa", "dense", "mine.kvt"}) {
    Advice advice = some_advice();
    advice.workload = workload;
    advice.synthetic = workload != "mine.kvt";
    const std::string text = cli::workload_sentence(advice);
    sides.expect(text, "those of mine.kvt", !advice.synthetic);
    sides.expect(text, "all KV in each step (workload dense, no trace given", workload == "dense");
    sides.expect(text, "workload dsa, synthetic, as no trace was given, 16 layers in place of 61", workload == "dsa");
  }
  sides.both();
}

TEST(AdviseSentences, WhereTieringPaysAndLoses) {
  Sides sides;
  for (const bool pays : {false, true}) {
    for (const bool fits : {false, true}) {
      for (const bool complete : {false, true}) {
        for (const double slower : {1.0, 1.005, 1.2}) {
          Advice advice = some_advice();
          advice.crossover_batch = pays ? std::optional(8u) : std::nullopt;
          advice.complete = complete;
          if (!fits) {
            advice.most_all_near.reset();
            advice.points[0].all_near = advice.points[1].all_near = std::nullopt;
          }
          advice.points[0].engine = speed_of(2, 0.010 * slower);
          const std::string text = cli::conclusions(advice);
          sides.expect(text, "Tiering pays at batch 8: without it nothing fits.", pays && !fits);
          sides.expect(text,
                       "Tiering pays at batch 8, the least found at which it is faster than 400 tokens/s, 4 requests",
                       pays && fits);
          sides.expect(text, "Tiering does not pay: none of the batches tried, up to 16, is faster than 400 tokens/s",
                       !pays && fits && complete);
          sides.expect(text, "Where all KV fits near it loses: at batch 2 an ideal engine takes 20 % longer",
                       fits && slower == 1.2);
          sides.expect(text, "it loses", fits && slower > 1.01);
          sides.expect(text, "Time was up before all was varied", !complete);
        }
      }
    }
  }
  sides.both();
}

TEST(AdviseSentences, WhoGetsTheTarget) {
  Sides sides;
  for (const std::optional<std::uint32_t> batch :
       {std::optional<std::uint32_t>(), std::optional(0u), std::optional(1u)}) {
    Advice advice = some_advice();
    advice.target_batch = batch;
    const std::string text = cli::conclusions(advice);
    sides.expect(text, "Target: no batch gives each request that many tokens/s.", batch == 0u);
    sides.expect(text, "Target: up to 1 request get", batch == 1u);
    sides.expect(text, "Target: ", batch.has_value());
  }
  sides.both();
}

TEST(AdviseSentences, WhatMoreWouldBuyAndWhatItHangsOn) {
  Sides sides;
  for (const double gain : {0.1, 50.0}) {  // of 400 tokens/s
    for (const bool known : {false, true}) {
      Advice advice = some_advice();
      if (known) {
        advice.gain_gib_near = gain;
        advice.gain_gpu = 2 * gain;
        advice.more_gpus = 1;
        advice.base_tokens_per_second = 400;
        advice.sensitive_speed = "engine";
        advice.sensitivity = {{"near.bandwidth", 400 - 8 * gain / 5, 400 + gain},
                              {"near.capacity", gain > 1 ? 0.0 : 400.0, 400.0}};
      }
      const std::string text = cli::conclusions(advice);
      sides.expect(text,
                   "More would buy the best policy at batch 4: 1 GiB near (each GPU) +50 tokens/s, 1 more GPU +100",
                   known && gain == 50);
      sides.expect(text, "1 GiB near (each GPU) +0 tokens/s, 1 more GPU +0 tokens/s", known && gain == 0.1);
      sides.expect(text, "near.bandwidth -20 % / +12 %, near.capacity does not fit / +0 %", known && gain == 50);
      sides.expect(text, "No input, 20 % lower or higher, changes 400 tokens/s by 0.5 %.", known && gain == 0.1);
    }
  }
  sides.both();
}

TEST(AdviseSentences, WhatIsProven) {
  Sides sides;
  for (const bool proven : {false, true}) {
    for (const FarHolds far : {FarHolds::kKv, FarHolds::kExperts}) {
      for (const bool ideal : {false, true}) {
        Advice advice = some_advice();
        advice.fit = far;
        if (proven) {
          advice.points[0].bound_step_s = 0.009;
        }
        if (!ideal) {
          advice.spec.engine = load_engine("vllm").value();
        }
        const std::string text = cli::conclusions(advice);
        sides.expect(text, "Bound: proven; no placement that brings experts over the link is faster",
                     proven && far == FarHolds::kExperts);
        sides.expect(text, "Bound: proven; no placement of the KV is faster", proven && far == FarHolds::kKv);
        sides.expect(text, "is faster on this machine", proven && ideal);
        sides.expect(text, "is faster with this engine's efficiencies and overheads", proven && !ideal);
      }
    }
  }
  sides.both();
}

TEST(AdviseSentences, TheSumOfNearMemoryIsShown) {
  Advice advice = some_advice();
  advice.near.memory = Bytes(std::int64_t{100} << 30);
  advice.near.weights = Bytes(std::int64_t{60} << 30);
  advice.near.reserve = Bytes(std::int64_t{10} << 30);
  advice.near.kv = Bytes(std::int64_t{30} << 30);
  EXPECT_NE(cli::advise_text(advice).find("near      100 GiB = weights 60.0 GiB + reserve 10.0 GiB + 30.0 GiB for KV"),
            std::string::npos);
  advice.near.kv = Bytes(-(std::int64_t{30} << 30));
  EXPECT_NE(cli::advise_text(advice).find("+ reserve 10.0 GiB, 30.0 GiB too much"), std::string::npos);
}

}  // namespace
}  // namespace kvplace
