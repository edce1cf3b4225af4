"""Devices that take phone pushes."""

from aiohttp import web

from realtime.features.push.schemas import DeviceIn, DeviceOut, WebKeyOut
from realtime.policy import Verb
from rest.openapi import body, docs, json_schema, response_schema
from rest.reply import caller, path_id, reply, services

routes = web.RouteTableDef()

TAGS = ["devices"]


@routes.post("/api/devices")
@docs(tags=TAGS, summary="Have pushes sent to a device", verb=Verb.OWN)
@json_schema(DeviceIn)
@response_schema(DeviceOut, 201)
async def register_device(request: web.Request) -> web.Response:
    """Until its log-in ends. A device that is known already becomes the caller's, whoever had it before."""
    device = await services(request).push.devices.register(caller(request), body(request, DeviceIn))
    return reply(device, status=201, message="Device registered")


@routes.get("/api/devices")
@docs(tags=TAGS, summary="The caller's devices that take pushes, the last seen first", verb=Verb.OWN)
@response_schema(list[DeviceOut])
async def list_devices(request: web.Request) -> web.Response:
    """Those of all log-ins of the caller."""
    return reply(await services(request).push.devices.list(caller(request)))


@routes.get("/api/devices/web-key")
@docs(tags=TAGS, summary="The key with which browsers subscribe", verb=Verb.OWN)
@response_schema(WebKeyOut)
async def web_key(request: web.Request) -> web.Response:
    """What `PushManager.subscribe` wants as `applicationServerKey`; 404 where browsers get no pushes."""
    return reply(services(request).push.devices.web_key())


@routes.delete("/api/devices/{id}")
@docs(tags=TAGS, summary="Send nothing to a device any more", verb=Verb.OWN)
@response_schema(None)
async def remove_device(request: web.Request) -> web.Response:
    """One of the caller's."""
    await services(request).push.devices.remove(caller(request).user_id, path_id(request, "id"))
    return reply(message="Device removed")
