// Attaching to, and every read of, a flag segment made of whatever bytes: none may crash, read beyond the segment, run
// without end, or keep a HALT that is raised on it from being seen.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "control_word.h"
#include "flag.h"
#include "segment_image.h"

using namespace esper;
using namespace esper::fuzz;

namespace {

#define REQUIRE(condition) \
  if (!(condition)) __builtin_trap()

Payload& payload_at(SegmentImage& image, size_t index) {
  return *reinterpret_cast<Payload*>(image.bytes() + kRecordsOffset + index * sizeof(Record) + 16);
}

void seal(SegmentImage& image, size_t index) {
  if (image.size() < kFlagSegmentBytes) return;
  Payload& payload = payload_at(image, index);
  payload.crc32c = payload_crc(payload);
}

void put_whole_record(SegmentImage& image, Input& input) {
  const uint64_t ticket = input.take<uint16_t>();
  const size_t at = kRecordsOffset + ticket % kRecordCount * sizeof(Record);
  const auto phase = static_cast<Phase>(input.take<uint8_t>() % 6);
  image.put(at, StateValue{phase, tag_of(ticket), input.take<uint32_t>()}.pack());
  image.put(at + 16, ticket);
  image.put(at + 24, input.take<uint32_t>());  // kind, level, flags, tier
  image.put(at + 72, input.take<uint64_t>());  // generation and level that a clear lowers
  seal(image, ticket % kRecordCount);
}

void apply_patches(SegmentImage& image, Input& input) {
  for (int count = 0; input.more() && count < 64; count++) {
    const auto kind = input.take<uint8_t>();
    if (kind == kEndPatches) return;
    const auto patch = static_cast<Patch>(kind % static_cast<uint8_t>(Patch::kCount));
    switch (patch) {
      case Patch::kHeader: image.overwrite(input, input.take<uint8_t>()); break;
      case Patch::kControl: image.overwrite(input, kControlOffset + input.take<uint8_t>()); break;
      case Patch::kSlot: {
        const size_t slot = kSlotsOffset + input.take<uint8_t>() % kSlotCount * sizeof(Slot);
        image.overwrite(input, slot + input.take<uint8_t>() % sizeof(Slot));
        break;
      }
      case Patch::kRecord: {
        const size_t record = kRecordsOffset + input.take<uint8_t>() * sizeof(Record);
        image.overwrite(input, record + input.take<uint16_t>() % sizeof(Record));
        break;
      }
      case Patch::kSeal: seal(image, input.take<uint8_t>()); break;
      case Patch::kWholeRecord: put_whole_record(image, input); break;
      case Patch::kNextTicket: image.put(kCountersOffset, input.take<uint64_t>()); break;
      case Patch::kAnywhere: image.overwrite(input, input.take<uint32_t>() % (kFlagSegmentBytes + 256)); break;
      case Patch::kCount: break;
    }
  }
}

// As an attacher finds it on disk; the file is gone before anything else happens.
std::shared_ptr<Region> attach_in_file(const SegmentImage& image, SegmentKind kind, Status& status) {
  RegionOptions options;
  options.kind = kind;
  options.name = "fuzz-" + std::to_string(getpid());
  options.attach_timeout_ms = 0;
  const std::string path = "/dev/shm/esper." + std::to_string(geteuid()) + "." + options.name;
  const int fd = open(path.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
  const bool written = fd >= 0 && ftruncate(fd, static_cast<off_t>(image.size())) == 0 &&
                       pwrite(fd, image.bytes(), image.size(), 0) == static_cast<ssize_t>(image.size());
  if (fd >= 0) close(fd);
  REQUIRE(written);
  auto region = Region::open_shared(options, status);
  unlink(path.c_str());
  return region;
}

void look_at(const RecordView& view) {
  const size_t bytes = view.signal_id().size() + view.subject().size() + view.origin().size() + view.run_id().size() +
                       view.reason().size();
  REQUIRE(bytes <= kSignalIdBytes + kSubjectBytes + kOriginBytes + kRunIdBytes + kReasonBytes);
}

void read_cursor(Flag& flag, Cursor::From from) {
  Cursor cursor(flag.ring(), from);
  for (int polls = 0; polls < 4 && cursor.ready(flag.ring()); polls++) {
    const Batch batch = cursor.poll(flag.ring(), 128);
    REQUIRE(batch.records.size() <= 128);
    for (const RecordView& view : batch.records) look_at(view);
  }
}

void read_everything(Flag& flag) {
  for (const RecordView& view : flag.history()) look_at(view);
  REQUIRE(flag.unpublished(0).size() <= kRecordCount);
  RecordView found;
  flag.find("07070707070707070707070707070707-1", found);
  read_cursor(flag, Cursor::From::kOldest);
  read_cursor(flag, Cursor::From::kNow);
  REQUIRE(flag.slots().members().size() <= kSlotCount);
  for (uint32_t slot = 0; slot < kSlotCount; slot++) REQUIRE(flag.slots().view(slot).name.size() <= kNameBytes);
  flag.ring().mark_published(flag.ring().next_ticket() - 1);
  unlink_dead_queues(*flag.region().header(), flag.slots());
}

// Control names the record applied last, so its ticket was taken. Where forged bytes say otherwise, the next record
// looks applied before it is, and its level need not appear.
bool control_names_the_future(Flag& flag) {
  const ControlValue now = flag.control();
  return now.generation != 0 && !tag_newer(tag_of(flag.ring().next_ticket()), now.tag);
}

void use(std::shared_ptr<Region> region, Input& input) {
  Flag flag(std::move(region));
  read_everything(flag);
  flag.join("fuzz", "fuzz");
  const ControlValue now = flag.control();
  flag.acknowledge(now.generation, now.level);
  ClearRequest clear;
  clear.generation = now.generation;
  clear.level = now.level;
  clear.force = (input.take<uint8_t>() & 1) != 0;
  flag.clear(clear);
  Request request;
  request.level = 4;
  request.reason = "raised on whatever this is";
  const bool forged = control_names_the_future(flag);
  const Raised raised = flag.trigger(request);
  REQUIRE(forged || flag.control().level >= 4);
  RecordView view;
  const ReadOutcome outcome = flag.ring().read(raised.ticket, view);
  REQUIRE(raised.record_less || outcome == ReadOutcome::kRecord);
  read_everything(flag);
}

}  // namespace

extern "C" {
int esper_fuzz_attached = 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  const auto begin = input.take<uint8_t>();
  const SegmentKind kind = (begin & Begin::kRollback) != 0 ? SegmentKind::kRollback : SegmentKind::kEmergency;
  const size_t bytes = (begin & Begin::kAnySize) != 0 ? input.take<uint32_t>() % (kFlagSegmentBytes + 4096)
                                                      : kFlagSegmentBytes;
  SegmentImage image(bytes);
  if ((begin & Begin::kFresh) != 0) image.begin_fresh(kind, 0);
  apply_patches(image, input);
  if ((begin & Begin::kMended) != 0) image.mend_header();
  Status status;
  auto region = (begin & Begin::kInFile) != 0 ? attach_in_file(image, kind, status)
                                              : Region::over_bytes(image.bytes(), image.size(), kind, status);
  REQUIRE(region != nullptr || !status.ok());
  if (region == nullptr) return 0;
  esper_fuzz_attached++;
  use(std::move(region), input);
  return 0;
}
