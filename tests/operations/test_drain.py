"""What a process says while it goes."""

import aiohttp

from tests.conftest import MakeSettings, StartNode


async def test_who_keeps_a_connection_to_a_process_that_goes_is_asked_to_close_it(
    make_settings: MakeSettings, start_node: StartNode
) -> None:
    node = await start_node(make_settings())
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{node.url}/livez") as reply:
            assert "Connection" not in reply.headers

        node.services.health.draining = True

        async with http.get(f"{node.url}/livez") as reply:
            assert (reply.status, reply.headers["Connection"]) == (200, "close")
