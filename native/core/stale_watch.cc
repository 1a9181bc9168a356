#include "stale_watch.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace esper {
namespace {

// The beginning and the end of the last silence of that slot, when nobody took either. The end of one whose beginning
// was taken has no beginning before it here, and stays.
void drop_untaken_episode(std::vector<StaleNotice>& notices, uint32_t slot) {
  const auto same = [&](const StaleNotice& one) { return one.member.index == slot; };
  const auto end = std::find_if(notices.rbegin(), notices.rend(), same);
  const auto begin = end == notices.rend() ? end : std::find_if(std::next(end), notices.rend(), same);
  if (begin == notices.rend() || begin->change != StaleChange::kStale) return;
  // From the back: the other stays where it is.
  notices.erase(std::next(end).base());
  notices.erase(std::next(begin).base());
}

}  // namespace

bool StaleWatch::scan(uint64_t now_ns) {
  begin_anew();
  bool news = false;
  for (size_t at = open_.size(); at-- > 0;) {
    const Episode& episode = open_[at];
    const uint32_t index = episode.member.index;
    const bool here = slots_.incarnation(static_cast<int>(index)) == episode.incarnation && slots_.member(index);
    if (!here || !slots_.alive(index)) news = end_episode(at, StaleChange::kGone);
    else if (slots_.stale_for_ns(index, now_ns) == 0) news = end_episode(at, StaleChange::kRecovered);
  }
  for (uint32_t index = 0; index < slots_.high_water(); index++) {
    // First: what is seen of the slot from here on is this participant's, or of one whom the look below notices.
    const uint32_t incarnation = slots_.incarnation(static_cast<int>(index));
    if (!slots_.member(index) || slots_.stale_for_ns(index, now_ns) == 0) continue;
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

// A scan that was under way at the restart may have told of what it remembered: that goes as well.
void StaleWatch::begin_anew() {
  if (!restarting()) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  restart_.store(false, std::memory_order_release);
  open_.clear();
  notices_.clear();
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
  if (change == StaleChange::kStale) drop_untaken_episode(notices_, member.index);
  notices_.push_back({change, std::move(member)});
  count_.fetch_add(1, std::memory_order_release);
}

std::vector<StaleNotice> StaleWatch::take() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (restarting()) notices_.clear();
  return std::exchange(notices_, {});
}

}  // namespace esper
