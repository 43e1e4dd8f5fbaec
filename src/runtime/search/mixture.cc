#include "runtime/search/mixture.h"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

namespace ferry::runtime {
namespace {

using Kept = std::vector<bool>;

class Search {
 public:
  Search(const std::vector<Candidate>& candidates, double max_loss, size_t trials,
         const std::function<double(const Kept&)>& measure)
      : candidates_(candidates), max_loss_(max_loss), trials_(trials), measure_(measure) {}

  // Positions in the order in which they are to be kept.
  template <typename Score>
  [[nodiscard]] std::vector<size_t> order_by(const Score& score) const {
    std::vector<size_t> out(candidates_.size());
    std::iota(out.begin(), out.end(), size_t{0});
    std::stable_sort(out.begin(), out.end(),
                     [&](size_t a, size_t b) { return score(candidates_[a]) > score(candidates_[b]); });
    return out;
  }

  // The fewest first ones of `order` that have to be kept.
  void bisect(const std::vector<size_t>& order) {
    size_t too_few = 0, enough = order.size();
    while (enough - too_few > 1) {
      const size_t middle = (too_few + enough) / 2;
      Kept kept(order.size(), false);
      for (size_t i = 0; i < middle; ++i) kept[order[i]] = true;
      (within(kept) ? enough : too_few) = middle;
    }
  }

  void quantize_again() {
    if (!best_) return;
    for (const size_t i : order_by([](const Candidate& one) { return static_cast<double>(one.saved); })) {
      if (known_.size() >= trials_) return;
      if (!best_->kept[i]) continue;
      Kept kept = best_->kept;
      kept[i] = false;
      // The whole is what was too much to begin with.
      if (std::find(kept.begin(), kept.end(), true) != kept.end()) static_cast<void>(within(kept));
    }
  }

  [[nodiscard]] const std::optional<Mixture>& best() const { return best_; }
  [[nodiscard]] double least() const { return least_; }

 private:
  bool within(const Kept& kept) {
    auto found = known_.find(kept);
    if (found == known_.end()) found = known_.emplace(kept, measure_(kept)).first;
    const double loss = found->second;
    least_ = std::min(least_, loss);
    if (!(loss <= max_loss_)) return false;
    uint64_t saved = 0;
    for (size_t i = 0; i < kept.size(); ++i) saved += kept[i] ? 0 : candidates_[i].saved;
    if (!best_ || saved > best_->saved) best_ = Mixture{kept, loss, saved};
    return true;
  }

  const std::vector<Candidate>& candidates_;
  double max_loss_;
  size_t trials_;
  const std::function<double(const Kept&)>& measure_;
  std::map<Kept, double> known_;
  std::optional<Mixture> best_;
  double least_ = std::numeric_limits<double>::infinity();
};

}  // namespace

std::optional<Mixture> find_mixture(const std::vector<Candidate>& candidates, double max_loss, size_t trials,
                                    const std::function<double(const Kept&)>& measure, double& least) {
  Search search(candidates, max_loss, trials, measure);
  search.bisect(search.order_by([](const Candidate& one) { return one.loss; }));
  search.bisect(search.order_by(
      [](const Candidate& one) { return one.loss / static_cast<double>(std::max<uint64_t>(one.saved, 1)); }));
  search.quantize_again();
  least = search.least();
  return search.best();
}

}  // namespace ferry::runtime
