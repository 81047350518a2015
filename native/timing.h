// The time of each stage, for benchmarks/stages.py, where FSRCNN_STAGES is defined; nothing otherwise. Included by strip.h.

#ifdef FSRCNN_STAGES
struct Timed {
    const int stage;
    const double start;
    explicit Timed(int of) : stage(of), start(fsrcnn_seconds()) {}
    ~Timed() { fsrcnn_stage_time[stage] += fsrcnn_seconds() - start; }
};
#define STAGE(which) const Timed timed(which)
#else
#define STAGE(which)
#endif
