/// Second implementations of caches, written from their papers as plainly as can be: lists, maps and scans. Blocks of
/// one size, one layer.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

namespace kvplace::testing {

using Id = std::uint32_t;
using Ids = std::vector<Id>;

inline bool contains(const Ids& ids, Id id) { return std::find(ids.begin(), ids.end(), id) != ids.end(); }
inline void take_out(Ids& ids, Id id) { ids.erase(std::find(ids.begin(), ids.end(), id)); }
inline Id take_first(Ids& ids) {
  const Id id = ids.front();
  ids.erase(ids.begin());
  return id;
}

/// A cache that every block read enters.
class NaiveCache {
 public:
  explicit NaiveCache(std::size_t places) : places_(places) {}
  virtual ~NaiveCache() = default;
  [[nodiscard]] virtual std::set<Id> near() const = 0;
  virtual void hit(Id id) = 0;
  virtual void enter(Id id) = 0;
  void set_time(std::uint32_t step) { now_ = step; }

 protected:
  std::size_t places_;
  std::uint32_t now_ = 0;
};

class NaiveSlru final : public NaiveCache {
 public:
  NaiveSlru(std::size_t places, double share)
      : NaiveCache(places), most_protected_(static_cast<std::size_t>(share * static_cast<double>(places))) {}
  [[nodiscard]] std::set<Id> near() const override {
    std::set<Id> all(probation_.begin(), probation_.end());
    all.insert(protected_.begin(), protected_.end());
    return all;
  }
  void hit(Id id) override {
    take_out(contains(protected_, id) ? protected_ : probation_, id);
    protected_.push_back(id);
    if (protected_.size() > most_protected_) {
      probation_.push_back(take_first(protected_));
    }
  }
  void enter(Id id) override {
    if (probation_.size() + protected_.size() == places_) {
      take_first(probation_.empty() ? protected_ : probation_);
    }
    probation_.push_back(id);
  }

 private:
  std::size_t most_protected_;
  Ids probation_;
  Ids protected_;
};

/// Jiang and Zhang, section 3: stack S (oldest first here), queue Q.
class NaiveLirs final : public NaiveCache {
 public:
  NaiveLirs(std::size_t places, double hir, double history)
      : NaiveCache(places),
        most_hir_(std::max<std::size_t>(1, static_cast<std::size_t>(hir * static_cast<double>(places)))),
        most_gone_(static_cast<std::size_t>(history * static_cast<double>(places))) {}
  [[nodiscard]] std::set<Id> near() const override {
    std::set<Id> all(lir_.begin(), lir_.end());
    all.insert(queue_.begin(), queue_.end());
    return all;
  }
  void hit(Id id) override {
    if (lir_.count(id) != 0) {
      take_out(stack_, id);
      stack_.push_back(id);
    } else if (contains(stack_, id)) {
      take_out(stack_, id);
      take_out(queue_, id);
      become_lir(id);
    } else {
      stack_.push_back(id);
      take_out(queue_, id);
      queue_.push_back(id);
    }
    prune();
  }
  void enter(Id id) override {
    const bool known = contains(stack_, id);
    if (known) {
      take_out(gone_, id);
    }
    if (near().size() == places_) {
      if (queue_.empty()) {
        demote_bottom();
      }
      const Id victim = take_first(queue_);
      if (contains(stack_, victim)) {
        gone_.push_back(victim);
        if (gone_.size() > most_gone_) {
          take_out(stack_, take_first(gone_));
        }
      }
    }
    if (known && contains(stack_, id)) {
      take_out(stack_, id);
      become_lir(id);
    } else if (lir_.size() + most_hir_ < places_) {
      become_lir(id);
    } else {
      stack_.push_back(id);
      queue_.push_back(id);
    }
    prune();
  }

 private:
  void become_lir(Id id) {
    stack_.push_back(id);
    lir_.insert(id);
    while (lir_.size() > (places_ > most_hir_ ? places_ - most_hir_ : 0)) {
      demote_bottom();
    }
  }
  void demote_bottom() {
    const Id bottom = take_first(stack_);
    lir_.erase(bottom);
    queue_.push_back(bottom);
    prune();
  }
  void prune() {
    while (!stack_.empty() && lir_.count(stack_.front()) == 0) {
      const Id id = take_first(stack_);
      if (contains(gone_, id)) {
        take_out(gone_, id);
      }
    }
  }

  std::size_t most_hir_;
  std::size_t most_gone_;
  Ids stack_;
  Ids queue_;
  Ids gone_;
  std::set<Id> lir_;
};

/// Those whose victim is the block of the least value; of equal ones the one used longest ago.
class NaiveByValue : public NaiveCache {
 public:
  using NaiveCache::NaiveCache;
  [[nodiscard]] std::set<Id> near() const override {
    std::set<Id> all;
    for (const auto& [id, uses] : uses_) {
      all.insert(id);
    }
    return all;
  }
  void hit(Id id) override { use(id); }
  void enter(Id id) override {
    if (uses_.size() == places_) {
      auto victim = uses_.begin();
      for (auto candidate = uses_.begin(); candidate != uses_.end(); ++candidate) {
        const long double a = value(candidate->first);
        const long double b = value(victim->first);
        if (a < b || (a == b && candidate->second.back().order < victim->second.back().order)) {
          victim = candidate;
        }
      }
      on_victim(victim->first);
      uses_.erase(victim);
    }
    use(id);
  }

 protected:
  struct Use {
    std::uint32_t step;
    std::uint64_t order;
  };
  [[nodiscard]] virtual long double value(Id id) const = 0;
  virtual void on_use(Id) {}
  virtual void on_victim(Id) {}

  std::map<Id, std::vector<Use>> uses_;  // since the block entered

 private:
  void use(Id id) {
    uses_[id].push_back({now_, ++order_});
    on_use(id);
  }
  std::uint64_t order_ = 0;
};

class NaiveAgingLfu final : public NaiveByValue {
 public:
  NaiveAgingLfu(std::size_t places, bool aging) : NaiveByValue(places), aging_(aging) {}

 private:
  [[nodiscard]] long double value(Id id) const override { return keys_.at(id); }
  void on_use(Id id) override { keys_[id] = static_cast<long double>(uses_[id].size()) + age_; }
  void on_victim(Id id) override { age_ = aging_ ? keys_[id] : 0; }
  bool aging_;
  long double age_ = 0;
  std::map<Id, long double> keys_;
};

class NaiveLrfu final : public NaiveByValue {
 public:
  NaiveLrfu(std::size_t places, double lambda) : NaiveByValue(places), lambda_(lambda) {}

 private:
  [[nodiscard]] long double value(Id id) const override {
    long double sum = 0;
    for (const Use& use : uses_.at(id)) {
      sum += std::exp2l(-static_cast<long double>(lambda_) * (now_ - use.step));
    }
    return sum;
  }
  double lambda_;
};

class NaiveBucketedLru final : public NaiveCache {
 public:
  NaiveBucketedLru(std::size_t places, std::uint32_t buckets, std::uint32_t width)
      : NaiveCache(places), buckets_(buckets), width_(width) {}
  [[nodiscard]] std::set<Id> near() const override {
    std::set<Id> all;
    for (const auto& [id, used] : used_) {
      all.insert(id);
    }
    return all;
  }
  void hit(Id id) override { used_[id] = now_; }
  void enter(Id id) override {
    if (used_.size() == places_) {
      const auto age = [this](const auto& entry) {
        return std::min(now_ / width_ - entry.second / width_, buckets_ - 1);
      };
      used_.erase(
          std::max_element(used_.begin(), used_.end(), [&](const auto& a, const auto& b) { return age(a) < age(b); }));
    }
    used_[id] = now_;
  }

 private:
  std::uint32_t buckets_;
  std::uint32_t width_;
  std::map<Id, std::uint32_t> used_;  // decode step of the last use
};

/// The kernel of HiSparse, slot by slot, for one request and layer. -1 is no block.
class NaiveHiSparse {
 public:
  explicit NaiveHiSparse(std::size_t slots) : tokens_(slots, -1), lru_(slots) {
    for (std::size_t i = 0; i < slots; ++i) {
      lru_[i] = i;
    }
  }
  void put(std::size_t slot, Id id) { tokens_[slot] = id; }
  [[nodiscard]] std::set<Id> near() const {
    std::set<Id> all;
    for (const std::int64_t token : tokens_) {
      if (token >= 0) {
        all.insert(static_cast<Id>(token));
      }
    }
    return all;
  }
  /// `length`: blocks that the request has, of which the last is being written. `top`: what the step reads.
  void step(std::size_t length, const Ids& top) {
    const Id newest = static_cast<Id>(length - 1);
    if (length <= tokens_.size()) {
      put(newest, newest);
      return;
    }
    std::vector<std::size_t> hits;
    std::vector<std::size_t> evictable;
    for (const std::size_t slot : lru_) {
      const bool hit = tokens_[slot] >= 0 && contains(top, static_cast<Id>(tokens_[slot]));
      (hit ? hits : evictable).push_back(slot);
    }
    const std::set<Id> resident = near();
    std::size_t misses = 0;
    for (const Id id : top) {
      if (id != newest && resident.count(id) == 0 && misses < evictable.size()) {
        put(evictable[misses++], id);
      }
    }
    std::rotate(evictable.begin(), evictable.begin() + static_cast<std::ptrdiff_t>(misses), evictable.end());
    lru_ = evictable;
    lru_.insert(lru_.end(), hits.begin(), hits.end());
  }

 private:
  std::vector<std::int64_t> tokens_;  // by slot
  std::vector<std::size_t> lru_;      // slots, least recently used first
};

}  // namespace kvplace::testing
