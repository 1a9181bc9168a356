#include "stale_watch.h"

#include <algorithm>
#include <utility>

namespace esper {

bool StaleWatch::scan(uint64_t now_ns) {
  bool news = false;
  for (size_t at = open_.size(); at-- > 0;) {
    const Episode& episode = open_[at];
    const uint32_t index = episode.member.index;
    const bool here = slots_.incarnation(static_cast<int>(index)) == episode.incarnation && slots_.member(index);
    if (!here || !slots_.alive(index)) news = end_episode(at, StaleChange::kGone);
    else if (slots_.stale_for_ns(index, now_ns) == 0) news = end_episode(at, StaleChange::kRecovered);
  }
  for (uint32_t index = 0; index < slots_.high_water(); index++) {
    if (!slots_.member(index) || slots_.stale_for_ns(index, now_ns) == 0) continue;
    const uint32_t incarnation = slots_.incarnation(static_cast<int>(index));
    const auto known = [&](const Episode& one) { return one.member.index == index; };
    if (std::any_of(open_.begin(), open_.end(), known)) continue;
    SlotView member = slots_.view(index);
    // Looked at again with the rest of the slot: it may have beaten, left or died between the two looks.
    if (member.stale_for_ns == 0 || slots_.incarnation(static_cast<int>(index)) != incarnation) continue;
    open_.push_back({incarnation, member});
    tell(StaleChange::kStale, std::move(member));
    news = true;
  }
  return news;
}

bool StaleWatch::end_episode(size_t at, StaleChange change) {
  SlotView member = std::move(open_[at].member);
  open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(at));
  if (change == StaleChange::kRecovered) member = slots_.view(member.index);
  tell(change, std::move(member));
  return true;
}

void StaleWatch::tell(StaleChange change, SlotView member) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto same = [&](const StaleNotice& one) { return one.member.index == member.index; };
  if (std::count_if(notices_.begin(), notices_.end(), same) >= 2 && change == StaleChange::kStale) {
    notices_.erase(std::remove_if(notices_.begin(), notices_.end(), same), notices_.end());
  }
  notices_.push_back({change, std::move(member)});
  count_.fetch_add(1, std::memory_order_release);
}

std::vector<StaleNotice> StaleWatch::take() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(notices_, {});
}

}  // namespace esper
