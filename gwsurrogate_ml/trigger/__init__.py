"""A quantised streaming trigger: a small network on two detectors' whitened strain, from training to gates.

`network` trains with quantisation in torch, `integer` is the arithmetic that hardware repeats to the bit, `verilog` exports it by
da4ml with a streaming top, `rtl` simulates the Verilog, `gates` synthesises, places and routes it. da4ml and yosys come with the
extra ``trigger``; nothing else of the package needs them.
"""
