// The sum of TERMS numbers with sign, in pairs, with a register behind each addition: $clog2(TERMS) cycles.
// A level needs a bit more than the one before it, and none more than SUM_BITS, which the generator has proven to be enough.
/* verilator lint_off WIDTH */  // parameters are numbers of 32 bits; numbers with sign are widened by assignment
/* verilator lint_off UNUSEDSIGNAL */  // a single term has no addition
module fsrcnn_sum #(
    parameter TERMS    = 9,
    parameter BITS     = 24,
    parameter SUM_BITS = 28
) (
    input  wire                       clk,
    input  wire                       enable,
    input  wire [TERMS*BITS-1:0]      terms,
    output wire signed [SUM_BITS-1:0] sum
);
    localparam LEVELS = $clog2(TERMS);
    genvar level, i;
    generate
        for (level = 0; level <= LEVELS; level = level + 1) begin : tree
            localparam COUNT = (TERMS + (1 << level) - 1) >> level;
            localparam WIDTH = BITS + level < SUM_BITS ? BITS + level : SUM_BITS;
            wire [COUNT*WIDTH-1:0] sums;
            if (level == 0) begin : leaves
                for (i = 0; i < TERMS; i = i + 1) begin : leaf
                    assign sums[i*WIDTH +: WIDTH] = terms[i*BITS +: WIDTH];
                end
            end else begin : additions
                localparam BEFORE = (TERMS + (1 << (level - 1)) - 1) >> (level - 1);
                localparam NARROW = BITS + level - 1 < SUM_BITS ? BITS + level - 1 : SUM_BITS;
                for (i = 0; i < COUNT; i = i + 1) begin : addition
                    wire signed [NARROW-1:0] left = tree[level-1].sums[2*i*NARROW +: NARROW];
                    reg  signed [WIDTH-1:0]  total;
                    if (2 * i + 1 < BEFORE) begin : pair
                        wire signed [NARROW-1:0] right = tree[level-1].sums[(2*i+1)*NARROW +: NARROW];
                        always @(posedge clk) if (enable) total <= left + right;
                    end else begin : single
                        always @(posedge clk) if (enable) total <= left;
                    end
                    assign sums[i*WIDTH +: WIDTH] = total;
                end
            end
        end
    endgenerate
    localparam LAST = BITS + LEVELS < SUM_BITS ? BITS + LEVELS : SUM_BITS;
    wire signed [LAST-1:0] root = tree[LEVELS].sums;
    assign sum = root;
endmodule
